#!/usr/bin/env python3
"""Checks proofs of what the state says of a key (docs/protocol.md, section 8), one JSON document a line:

    { "root": hex, "key": hex, "value": hex or null, "siblings": [hex ...], "neighbour": [hex, hex] or null }

Prints `holds` or `does not hold` for each. Needs the packages of requirements.txt.
"""

import sys

sys.dont_write_bytecode = True

import json

from crypto import state_proof_holds


def from_hex(text):
    return None if text is None else bytes.fromhex(text)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        for line in file:
            said = json.loads(line)
            root, key, value = (from_hex(said[name]) for name in ("root", "key", "value"))
            siblings = [from_hex(sibling) for sibling in said["siblings"]]
            neighbour = said["neighbour"] and tuple(map(from_hex, said["neighbour"]))
            holds = state_proof_holds(root, key, value, siblings, neighbour)
            print("holds" if holds else "does not hold")


if __name__ == "__main__":
    main()
