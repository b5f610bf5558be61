//! Lays JSON out for people: what is short and flat stands on one line, the rest one member a line.
//!
//! It works on JSON text as `serde_json` writes it (compact and valid), so order and numbers stay as they are.

use std::iter::Peekable;
use std::str::CharIndices;

/// Lines are broken to stay below this many columns.
const COLUMNS: usize = 110;

/// A JSON value as its text.
enum Node<'a> {
    Scalar(&'a str),
    Array(Vec<Node<'a>>),
    Object(Vec<(&'a str, Node<'a>)>),
}

/// The same JSON, laid out, with a line feed at the end.
pub(crate) fn lay_out(compact: &str) -> String {
    let mut reader = Reader { text: compact, chars: compact.char_indices().peekable() };
    let mut out = String::with_capacity(compact.len() * 3 / 2);
    write(&reader.value(), 0, 0, &mut out);
    out.push('\n');
    out
}

struct Reader<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
}

impl<'a> Reader<'a> {
    fn value(&mut self) -> Node<'a> {
        match self.peek() {
            Some('[') => Node::Array(self.members(']', Self::value)),
            Some('{') => Node::Object(self.members('}', |reader| {
                let key = reader.scalar();
                reader.chars.next();
                (key, reader.value())
            })),
            _ => Node::Scalar(self.scalar()),
        }
    }

    /// What stands between an opening bracket, which is next, and its closing one.
    fn members<T>(&mut self, close: char, mut member: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let mut members = Vec::new();
        self.chars.next();
        while let Some(next) = self.peek() {
            if next == close {
                self.chars.next();
                break;
            }
            if next == ',' {
                self.chars.next();
            }
            members.push(member(self));
        }
        members
    }

    fn scalar(&mut self) -> &'a str {
        let start = self.position();
        if self.peek() == Some('"') {
            self.chars.next();
            while let Some((_, next)) = self.chars.next() {
                match next {
                    '\\' => drop(self.chars.next()),
                    '"' => break,
                    _ => {}
                }
            }
        } else {
            while self.peek().is_some_and(|next| !matches!(next, ',' | ':' | ']' | '}')) {
                self.chars.next();
            }
        }
        &self.text[start..self.position()]
    }

    fn peek(&mut self) -> Option<char> {
        self.chars.peek().map(|&(_, next)| next)
    }

    fn position(&mut self) -> usize {
        self.chars.peek().map_or(self.text.len(), |&(position, _)| position)
    }
}

/// Writes `node` where `column` characters already stand on the line, which is indented by `indent`.
fn write(node: &Node<'_>, indent: usize, column: usize, out: &mut String) {
    if let Some(line) = one_line(node)
        && column + line.chars().count() < COLUMNS
    {
        out.push_str(&line);
        return;
    }
    match node {
        Node::Scalar(text) => out.push_str(text),
        Node::Array(values) if values.iter().all(|value| matches!(value, Node::Scalar(_))) => {
            out.push('[');
            fill(values, indent + 2, out);
            new_line(indent, out);
            out.push(']');
        }
        Node::Array(values) => {
            out.push('[');
            for (position, value) in values.iter().enumerate() {
                separate(position, indent + 2, out);
                write(value, indent + 2, indent + 2, out);
            }
            new_line(indent, out);
            out.push(']');
        }
        Node::Object(members) => {
            out.push('{');
            for (position, (key, value)) in members.iter().enumerate() {
                separate(position, indent + 2, out);
                out.push_str(key);
                out.push_str(": ");
                write(value, indent + 2, indent + 4 + key.chars().count(), out);
            }
            new_line(indent, out);
            out.push('}');
        }
    }
}

/// Scalars, as many on a line as fit.
fn fill(values: &[Node<'_>], indent: usize, out: &mut String) {
    let mut column = COLUMNS;
    for (position, value) in values.iter().enumerate() {
        let Node::Scalar(text) = value else { continue };
        let width = text.chars().count() + 2;
        if column + width > COLUMNS {
            separate(position, indent, out);
            column = indent + width;
        } else {
            out.push_str(", ");
            column += width;
        }
        out.push_str(text);
    }
}

fn separate(position: usize, indent: usize, out: &mut String) {
    if position > 0 {
        out.push(',');
    }
    new_line(indent, out);
}

fn new_line(indent: usize, out: &mut String) {
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', indent));
}

/// The node on one line, if it is flat: a scalar, or a container of nothing but scalars.
fn one_line(node: &Node<'_>) -> Option<String> {
    let scalar = |node: &Node<'_>| match node {
        Node::Scalar(text) => Some((*text).to_owned()),
        Node::Array(values) => values.is_empty().then(|| "[]".to_owned()),
        Node::Object(members) => members.is_empty().then(|| "{}".to_owned()),
    };
    match node {
        Node::Scalar(_) => scalar(node),
        Node::Array(values) => {
            let values: Option<Vec<String>> = values.iter().map(scalar).collect();
            Some(format!("[{}]", values?.join(", ")))
        }
        Node::Object(members) => {
            let members = members.iter().map(|(key, value)| Some(format!("{key}: {}", scalar(value)?)));
            Some(format!("{{{}}}", members.collect::<Option<Vec<_>>>()?.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_flat_containers_stand_on_one_line() {
        let compact =
            r#"{"site":{"x_m":1,"y_m":-2},"offers":{"a":{"cost":1.5,"minutes":7}},"none":[],"t":"a,\"b]"}"#;
        let expected = "{\n  \"site\": {\"x_m\": 1, \"y_m\": -2},\n  \"offers\": {\n    \"a\": {\"cost\": 1.5, \"minutes\": 7}\n  },\n  \"none\": [],\n  \"t\": \"a,\\\"b]\"\n}\n";
        assert_eq!(lay_out(compact), expected);
    }

    #[test]
    fn long_lists_fill_their_lines() {
        let numbers: Vec<u32> = (1000..1040).collect();
        let laid_out = lay_out(&serde_json::to_string(&numbers).unwrap());
        assert_eq!(laid_out.lines().count(), 5);
        assert!(laid_out.lines().all(|line| line.len() <= COLUMNS), "{laid_out}");
        assert_eq!(serde_json::from_str::<Vec<u32>>(&laid_out).unwrap(), numbers);
    }

    #[test]
    fn a_bare_scalar_is_left_alone() {
        assert_eq!(lay_out("null"), "null\n");
        assert_eq!(
            lay_out("\"\u{645}\u{6cc}\u{632}\u{627}\u{646}\""),
            "\"\u{645}\u{6cc}\u{632}\u{627}\u{646}\"\n"
        );
    }
}
