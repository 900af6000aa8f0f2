"""Runs a program in a pseudo-terminal, and writes what a user would see to the standard output.

Takes one argument, JSON: {"args": [...], "columns": 80, "rows": 24, "env": {...}, "typed": [["text", "keys"], ...]}.
Each pair is a text that is waited for, and the keys that are typed then; "\\u0003" is Ctrl-C, which the
terminal turns into a signal. The last line of the standard error says how the program ended: its exit code, or
minus the number of the signal.
"""

import fcntl
import json
import os
import pty
import struct
import sys
import termios

wanted = json.loads(sys.argv[1])
begin, ready = os.pipe()
pid, terminal = pty.fork()
if pid == 0:
    os.close(ready)
    os.read(begin, 1)  # until the terminal has its size
    os.execvpe(wanted["args"][0], wanted["args"], wanted["env"])
size = struct.pack("HHHH", wanted["rows"], wanted["columns"], 0, 0)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, size)
os.write(ready, b"!")

typed = list(wanted.get("typed", []))
seen = b""
while True:
    try:
        piece = os.read(terminal, 65536)
    except OSError:  # the program has ended
        break
    if not piece:
        break
    seen += piece
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
    while typed and typed[0][0].encode() in seen:
        os.write(terminal, typed.pop(0)[1].encode())

_, status = os.waitpid(pid, 0)
print(-os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status), file=sys.stderr)
