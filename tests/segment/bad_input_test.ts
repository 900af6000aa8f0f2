// Wrong calls of SharedMemory: `tests/helpers/bad_input.ts` says what holds for each.

import { api, FOREIGN, refuses } from "../helpers/bad_input.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "names may be shorter elsewhere");

const { SharedMemory } = api;

refuses({
  "new SharedMemory()": [
    [
      TypeError,
      "Cannot construct SharedMemory: use SharedMemory.create(name, byteLength) or SharedMemory.open(name)",
      [
        () => new SharedMemory("a", 4),
        () => new SharedMemory(),
      ],
    ],
  ],
  "SharedMemory.create()": [
    [TypeError, "Cannot use this name: it must be a string, not undefined", [
      () => SharedMemory.create(),
    ]],
    [TypeError, "Cannot create: byteLength must be a number of bytes, not undefined", [
      () => SharedMemory.create("a"),
    ]],
    [
      RangeError,
      'Cannot use the name "a/b": it holds a "/"; give it without the leading slash of shm_open',
      [
        () => SharedMemory.create("a/b", 4),
      ],
    ],
    [RangeError, "it has 256 bytes in UTF-8, and this platform allows", [
      () => SharedMemory.create("x".repeat(256), 4),
    ]],
    [TypeError, "Cannot create: byteLength must be a number of bytes, not a string", [
      () => SharedMemory.create("a", "4"),
    ]],
    [TypeError, "Cannot create: byteLength must be a number of bytes, not a bigint", [
      () => SharedMemory.create("a", 4n),
    ]],
    [TypeError, "Cannot create: byteLength must be a number of bytes, not null", [
      () => SharedMemory.create("a", null),
    ]],
    [TypeError, "Cannot create: byteLength must be a number of bytes, not an array", [
      () => SharedMemory.create("a", [4]),
    ]],
    [RangeError, "Cannot create: a segment cannot have 0 bytes", [
      () => SharedMemory.create("a", 0),
      () => SharedMemory.create("a", -0),
    ]],
    [RangeError, "Cannot create: a segment cannot have -1 bytes", [
      () => SharedMemory.create("a", -1),
    ]],
    [RangeError, "Cannot create: a segment cannot have 0.5 bytes", [
      () => SharedMemory.create("a", 0.5),
    ]],
    [RangeError, "Cannot create: a segment cannot have NaN bytes", [
      () => SharedMemory.create("a", NaN),
    ]],
    [RangeError, "Cannot create: a segment cannot have Infinity bytes", [
      () => SharedMemory.create("a", Infinity),
    ]],
    [RangeError, "Cannot create: a segment cannot have 9007199254740992 bytes", [
      () => SharedMemory.create("a", 2 ** 53),
    ]],
    [RangeError, "Cannot create: mode must be from 0 to 0o777", [
      () => SharedMemory.create("a", 4, { mode: 0o1777 }),
    ]],
    [TypeError, 'Cannot create: there is no option "size"; there is mode, reserve', [
      () => SharedMemory.create("a", 4, { size: 4 }),
    ]],
    [TypeError, "Cannot create: the options must be an object, not null", [
      () => SharedMemory.create("a", 4, null),
    ]],
  ],
  "SharedMemory.open()": [
    [TypeError, "Cannot use this name: it must be a string, not undefined", [
      () => SharedMemory.open(),
    ]],
    [
      RangeError,
      'Cannot use the name "a/b": it holds a "/"; give it without the leading slash of shm_open',
      [
        () => SharedMemory.open("a/b"),
      ],
    ],
    [TypeError, "Cannot use this name: it must be a string, not a number", [
      () => SharedMemory.open(7),
    ]],
    [RangeError, 'Cannot use the name "\\u0000": it holds a NUL', [
      () => SharedMemory.open("\0"),
    ]],
    [RangeError, 'Cannot use the name "": it is empty', [
      () => SharedMemory.open(""),
    ]],
  ],
  "SharedMemory.close()": [
    [TypeError, FOREIGN, [
      () => SharedMemory.prototype.close.call({}),
    ]],
  ],
  "SharedMemory.unlink()": [
    [TypeError, FOREIGN, [
      () => SharedMemory.prototype.unlink.call({ name: "a" }),
    ]],
  ],
  "SharedMemory.buf": [
    [TypeError, FOREIGN, [
      () => Reflect.get(SharedMemory.prototype, "buf"),
    ]],
  ],
}, 28);
