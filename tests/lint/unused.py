#!/usr/bin/env python3
"""What a header of common/, broker/ or gateway/ declares, another production file calls: else it is static, or gone.

A name counts as called where it stands in the code (no comment, text or member) of a file that neither declares nor
defines it. So a namesake can hide an unused function, but no function that is used is ever named here."""
import pathlib
import re
import sys

# What stands in a header for the tests alone, and why.
FOR_TESTS = {
    "memory_disk_new": "the store in memory is the tests' own: it runs the plan and the coverage of the real one",
    "memory_disk_free": "likewise",
    "memory_disk_copy": "likewise",
    "store_open_memory": "likewise",
    "store_memory_run": "likewise",
    "store_memory_pending": "likewise",
    "store_memory_crash": "likewise",
    "store_memory_faults": "likewise",
    "node_peer_node": "simulated neighbours have no link that knows whom a peer stands for",
    "node_peer_find": "likewise",
    "book_find": "what was noted, as against what is answered",
    "thinning_bucket": "the edges of a bucket, before 1970 too, cannot be asked for in another way",
    "value_compare": "which way round, where value_equal says only whether",
    "code_row": "whether the table is whole: a row, with its meaning, for each number",
    "base_is_network": "no network file system is mounted in a test",
    "deciding_open": "hostile bytes, without a node that sends them",
    "last_apply": "record by record, without a store",
}
ROOT = pathlib.Path(__file__).resolve().parents[2]
NOT_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
CALLED = re.compile(r"(?<![.>\w])(?<!struct )(?<!enum )[a-z]\w*")
DECLARED = re.compile(r"^(?!typedef\b|return\b|else\b)(?:static inline )?[a-z][\w *]*?\b([a-z]\w*)\(", re.M)


def main():
    declared, called, defined = {}, {}, {}
    for folder in ("common", "broker", "gateway"):
        for path in (ROOT / folder).rglob("*.[ch]"):
            code = NOT_CODE.sub(" ", path.read_text())
            called[path] = set(CALLED.findall(code))
            names = set(DECLARED.findall(code))
            if path.suffix == ".h":  # what a macro or an inline function there calls is theirs
                names = {name for name in names if CALLED.findall(code).count(name) == 1}
            (declared if path.suffix == ".h" else defined)[path] = names
    wrong = 0
    seen = set()
    for header, names in sorted(declared.items()):
        for name in sorted(names):
            seen.add(name)
            users = [path for path, words in called.items() if name in words and path != header and name not in defined.get(path, ())]
            if not users and name not in FOR_TESTS:
                print(f"{header.relative_to(ROOT)}: {name} is called by no other file of common, broker or gateway: make it static, or remove it")
                wrong = 1
            if users and name in FOR_TESTS:
                print(f"{name} is called by {users[0].relative_to(ROOT)}: it needs no exception")
                wrong = 1
    for name in sorted(set(FOR_TESTS) - seen):
        print(f"{name} is declared nowhere: take it out of the exceptions")
        wrong = 1
    if len(seen) < 500:
        print(f"only {len(seen)} functions found in headers: {__file__} looks in the wrong place")
        wrong = 1
    return wrong


sys.exit(main())
