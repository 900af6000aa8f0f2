/**
 * Python programs that use `shm_attach.py`, and tell in lines of JSON what they find.
 *
 * @module
 */

import type { Python } from "./find_python.ts";
import { slowness } from "./scale.ts";
import { Teller } from "./sync.ts";

/** What each program finds: the module, its names, and a few functions. */
const imports = `
import errno, json, os, signal, sys, threading, time
import shm_attach as S
from shm_attach import Lock, Queue, Ring, Versions, attach, notify, wait
name = sys.argv[1]
def tell(*what):
    print(json.dumps(what if len(what) != 1 else what[0]), flush=True)
def raised(action):
    try:
        action()
        return None
    except BaseException as error:
        return type(error).__name__
def forked(action):
    """What an action in a forked child returns or raises."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            result = action()
        except BaseException as error:
            result = type(error).__name__
        os.write(write, json.dumps(result).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as file:
        return json.loads(file.read())
def interrupted(method, attempt, look):
    """Ctrl-C at each instruction in turn of what a method calls: all that a look finds then, how many instructions there
    are, and what the last attempt gave, which had fewer."""
    found, count = [], 0
    while True:
        rest = count + 1
        def trace(frame, event, arg):
            nonlocal rest
            frame.f_trace_opcodes = frame.f_code not in (method.__code__, attempt.__code__)
            rest -= event == "opcode"
            if rest == 0:
                rest = -1
                raise KeyboardInterrupt
            return trace
        sys.settrace(trace)
        try:
            return found, count, attempt()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        left = look()
        found += [left] if left not in found else []
        count += 1
`;

/** Starts Python with a program that finds the names above; the first argument is `name`. */
export function startPython({ path }: Python, program: string, args: string[]): Teller {
  return Teller.run(path, ["-u", "-B", "-c", imports + program, ...args], {
    PYTHONPATH: new URL("../../examples/python/", import.meta.url).pathname,
  });
}

/** The next thing that a program tells. */
// deno-lint-ignore no-explicit-any -- whatever the program tells
export async function told(teller: Teller): Promise<any> {
  // A process that waits for ever is ended, and its line is an error then.
  const timer = setTimeout(() => teller.kill(), 60_000 * slowness);
  try {
    return JSON.parse(await teller.line());
  } finally {
    clearTimeout(timer);
  }
}

/** Runs a program that tells one thing. */
// deno-lint-ignore no-explicit-any -- whatever the program tells
export async function askPython(python: Python, program: string, ...args: string[]): Promise<any> {
  await using teller = startPython(python, program, args);
  return await told(teller);
}
