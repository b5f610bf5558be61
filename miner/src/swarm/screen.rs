//! A terminal that is redrawn in place. The alternate screen is left, and the cursor shown again, when it is
//! dropped, however that comes about.

use std::io::{self, Write as _};

use console::Term;

/// The alternate screen, and no cursor on it.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// A terminal taken over for the time being.
#[derive(Debug)]
pub(super) struct Screen(Term);

impl Screen {
    /// Takes over stdout, if that is a terminal.
    pub(super) fn take() -> Option<Self> {
        let term = Term::stdout();
        if !term.is_term() {
            return None;
        }
        let mut screen = Self(term);
        screen.0.write_all(ENTER.as_bytes()).ok()?;
        Some(screen)
    }

    /// Shows these lines from the top, as many and as much of them as there is room for.
    pub(super) fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        let (rows, columns) = self.0.size_checked().unwrap_or((24, 80));
        // In one piece, so that it does not flicker.
        let mut frame = String::from("\x1b[H");
        for (row, line) in lines.iter().take(rows.into()).enumerate() {
            if row > 0 {
                frame.push_str("\r\n");
            }
            frame.push_str(&console::truncate_str(line, columns.into(), "…"));
            frame.push_str("\x1b[K");
        }
        frame.push_str("\x1b[J");
        self.0.write_all(frame.as_bytes())?;
        self.0.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        let _ = self.0.write_all(LEAVE.as_bytes());
        let _ = self.0.flush();
    }
}
