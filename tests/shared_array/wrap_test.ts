import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { NDArray, SharedMemoryArray, shmarrayWrap } from "../../mod.ts";
import { mappingsOf, segmentExists, withNames } from "../helpers/helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /proc");

type Int32 = NDArray<"int32">;
type SharedInt32 = SharedMemoryArray<"int32">;

/** A segment that holds the given elements, and an instance that is not attached to it. */
function share(name: string, elements: number[]): SharedInt32 {
  const sma = new SharedMemoryArray(elements.length, "int32", name);
  sma.create().assign(elements);
  sma.close();
  return sma;
}

function sum(array: Int32): number {
  return [...array].reduce((a, b) => a + b, 0);
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

// --- What is resolved ------------------------------------------------------------------------

Deno.test("shmarrayWrap() loads positional arguments, and closes them after the call", () => {
  withNames((a, b) => {
    const [one, two] = [share(a, [1, 2, 3]), share(b, [10])];
    const kept: Int32[] = [];
    const wrapped = shmarrayWrap((x: Int32, factor: number, y: Int32) => {
      kept.push(x, y);
      assertInstanceOf(x, NDArray);
      assertEquals([mappingsOf(a), mappingsOf(b)], [1, 1]);
      return (sum(x) + sum(y)) * factor;
    });
    assertEquals(wrapped(one, 2, two), 32);
    assertEquals([one.smh, two.smh, mappingsOf(a), mappingsOf(b)], [null, null, 0, 0]);
    assert(segmentExists(a) && segmentExists(b));
    for (const view of kept) assertThrows(() => view.get(0), Deno.errors.BadResource);
  });
});

Deno.test("shmarrayWrap() passes the array with arraySlice applied, and writes reach it", () => {
  withNames((name) => {
    const whole = share(name, [1, 2, 3, 4]);
    const wrapped = shmarrayWrap((view: Int32) => {
      view.fill(0);
      return view.shape;
    });
    assertEquals(wrapped(SharedMemoryArray.clone(whole, { arraySlice: ["1:3"] })), [2]);
    assertEquals(whole.load().toArray(), [1, 0, 0, 4]);
    whole.close();
  });
});

Deno.test("shmarrayWrap() resolves the values of a plain object, in a copy", () => {
  withNames((name) => {
    const sma = share(name, [1, 2]);
    const options = { factor: 3, sma, nothing: null };
    const bare = Object.assign(Object.create(null), { sma });
    const wrapped = shmarrayWrap((options: { factor?: number; sma: Int32 }) => {
      assertInstanceOf(options.sma, NDArray);
      return sum(options.sma) * (options.factor ?? 1);
    });
    assertEquals([wrapped(options), wrapped(bare)], [9, 3]);
    assertEquals(options, { factor: 3, sma, nothing: null });
    assertStrictEquals(options.sma, sma);
    assertStrictEquals(bare.sma, sma);
    assertEquals(mappingsOf(name), 0);
  });
});

Deno.test("shmarrayWrap() passes an object that holds no array as it is", () => {
  const given = { a: 1 };
  const wrapped = shmarrayWrap((...args: unknown[]) => args);
  assertStrictEquals(wrapped(given)[0], given);
});

Deno.test("shmarrayWrap() looks one level deep only, and not into class instances", () => {
  withNames((name) => {
    const sma = share(name, [1]);
    class Holder {
      sma = sma;
    }
    const holder = new Holder();
    const given: unknown[] = [
      { deep: { sma } },
      holder,
      [[sma]],
      new Map([["sma", sma]]),
      () => sma,
    ];
    const wrapped = shmarrayWrap((...args: unknown[]) => args);
    const passed = wrapped(...given);
    given.forEach((value, i) => assertStrictEquals(passed[i], value));
    assertStrictEquals(holder.sma, sma);
    assertEquals([sma.smh, mappingsOf(name)], [null, 0]);
  });
});

Deno.test("shmarrayWrap() passes views, numbers and missing arguments as they are", () => {
  const view = new NDArray(Int32Array.of(1, 2));
  const wrapped = shmarrayWrap(function (...args: unknown[]) {
    return args;
  });
  assertEquals(wrapped(), []);
  const passed = wrapped(view, undefined, null, 0n, "x");
  assertEquals(passed.slice(1), [undefined, null, 0n, "x"]);
  assertStrictEquals(passed[0], view);
});

Deno.test("shmarrayWrap() resolves instances of subclasses", () => {
  class Tile extends SharedMemoryArray<"int32"> {}
  withNames((name) => {
    share(name, [4, 5]);
    const tile = new Tile(2, "int32", name);
    assertEquals(shmarrayWrap(sum)(tile), 9);
    assertEquals(tile.smh, null);
  });
});

// --- The function ----------------------------------------------------------------------------

Deno.test("shmarrayWrap() keeps this, name, length and the result", () => {
  withNames((name) => {
    const sma = share(name, [5]);
    const host = {
      base: 100,
      add: shmarrayWrap(function add(this: { base: number }, x: Int32, _y: number) {
        return { value: this.base + x.get(0) };
      }),
    };
    assertEquals(host.add(sma, 1), { value: 105 });
    assertEquals([host.add.name, host.add.length], ["add", 2]);
    assertEquals(shmarrayWrap(() => {}).length, 0);
  });
});

Deno.test("shmarrayWrap() passes on what is thrown, and closes", () => {
  withNames((name) => {
    const sma = share(name, [5]);
    const error = new Error("mine");
    const wrapped = shmarrayWrap((_: Int32): number => {
      throw error;
    });
    try {
      wrapped(sma);
      throw new Error("it did not throw");
    } catch (caught) {
      assertStrictEquals(caught, error);
    }
    assertEquals([sma.smh, mappingsOf(name)], [null, 0]);
  });
});

Deno.test("shmarrayWrap() closes after the promise has settled", () =>
  withNames(async (name) => {
    const sma = share(name, [5, 6]);
    const wrapped = shmarrayWrap(async (x: Int32) => {
      await delay(5);
      return sum(x);
    });
    const promise = wrapped(sma);
    assertInstanceOf(promise, Promise);
    assertEquals(mappingsOf(name), 1);
    assertEquals(await promise, 11);
    assertEquals([sma.smh, mappingsOf(name)], [null, 0]);
  }));

Deno.test("shmarrayWrap() closes after a rejection, which it passes on", () =>
  withNames(async (name) => {
    const sma = share(name, [5, 6]);
    const wrapped = shmarrayWrap(async (x: Int32) => {
      await delay(1);
      x.get(99);
    });
    await assertRejects(() => wrapped(sma), RangeError, "out of bounds");
    assertEquals([sma.smh, mappingsOf(name)], [null, 0]);
  }));

Deno.test("shmarrayWrap() waits for any thenable", () =>
  withNames(async (name) => {
    const sma = share(name, [7]);
    const wrapped = shmarrayWrap((x: Int32): PromiseLike<number> => ({
      then: (resolve, reject) => delay(5).then(() => x.get(0)).then(resolve, reject),
    }));
    const promise = wrapped(sma);
    assertEquals(mappingsOf(name), 1);
    assertEquals(await promise, 7);
    assertEquals(mappingsOf(name), 0);
  }));

/** A property that can be read some times; then it throws. */
function fragile(times: number, value: unknown): PropertyDescriptor {
  return {
    get() {
      if (times-- > 0) return value;
      throw new Error("not to be read");
    },
  };
}

/** Results whose properties throw when they are read: with how many reads before, and of what. */
const fragileResults: { [what: string]: () => unknown } = {};
for (const times of [0, 1, 2, 3]) {
  fragileResults[`an object with a then that throws after ${times} reads`] = () =>
    Object.defineProperty(
      {},
      "then",
      fragile(times, (resolve: (value: number) => void) => resolve(1)),
    );
  for (const key of ["then", "constructor", "finally"] as const) {
    fragileResults[`a promise with a ${key} that throws after ${times} reads`] = () => {
      const promise = Promise.resolve(1);
      return Object.defineProperty(promise, key, fragile(times, promise[key]));
    };
  }
}
for (const [what, make] of Object.entries(fragileResults)) {
  Deno.test(`shmarrayWrap() leaks nothing where the result is ${what}`, () =>
    withNames(async (name) => {
      const sma = share(name, [7]);
      const wrapped = shmarrayWrap((_x: Int32): unknown => make());
      const ended = await (async () => await wrapped(sma))().catch((error) => error.message);
      assert(ended === 1 || ended === "not to be read", String(ended));
      assertEquals([sma.smh, mappingsOf(name)], [null, 0]);
      // Nobody counts on it any more, either: what its owner attaches stays the owner's.
      sma.load();
      assertEquals(shmarrayWrap((x: Int32) => x.get(0))(sma), 7);
      assertEquals(mappingsOf(name), 1);
      sma.close();
    }));
}

Deno.test("shmarrayWrap() refuses generator functions when it wraps", () => {
  const generators = [
    function* () {},
    async function* () {},
    { *method() {} }.method,
    (function* () {}).bind(null),
  ];
  for (const generator of generators) {
    assertThrows(
      () => shmarrayWrap(generator as () => unknown),
      TypeError,
      "Cannot wrap a generator function",
    );
  }
});

Deno.test("shmarrayWrap() refuses what is no function", () => {
  const wrap = shmarrayWrap as (fn: unknown) => unknown;
  for (const given of [undefined, null, 5, {}, "f"]) {
    assertThrows(() => wrap(given), TypeError, "Cannot wrap");
  }
});

Deno.test("shmarrayWrap() says what a second argument that is no decorator's context means", () => {
  const wrap = shmarrayWrap as unknown as (...args: unknown[]) => unknown;
  const fn = (): void => {};
  for (const calls of [() => [fn].map(wrap), () => wrap(fn, null), () => wrap({}, "method", {})]) {
    assertThrows(calls, TypeError, "list.map((fn) => shmarrayWrap(fn))");
  }
});

// --- The decorator ---------------------------------------------------------------------------

Deno.test("@shmarrayWrap decorates a method", () =>
  withNames(async (name) => {
    class Statistics {
      constructor(private readonly factor: number) {}

      @shmarrayWrap
      sum(array: Int32 | SharedInt32): number {
        return sum(array as Int32) * this.factor;
      }

      @shmarrayWrap
      async later(array: Int32 | SharedInt32): Promise<number> {
        await delay(1);
        return sum(array as Int32) * this.factor;
      }

      @shmarrayWrap
      static first(array: Int32 | SharedInt32): [number, unknown] {
        return [(array as Int32).get(0), this];
      }
    }
    const sma = share(name, [1, 2, 3]);
    const statistics = new Statistics(10);
    assertEquals(statistics.sum(sma), 60);
    assertEquals(await statistics.later(sma), 60);
    assertEquals(Statistics.first(sma), [1, Statistics]);
    assertEquals([statistics.sum.name, statistics.sum.length], ["sum", 1]);
    assertEquals([sma.smh, mappingsOf(name)], [null, 0]);
  }));

Deno.test("@shmarrayWrap refuses whatever is no method", () => {
  // deno-lint-ignore no-explicit-any -- the compiler refuses these, too
  const decorate = shmarrayWrap as any;
  const wrong: { [kind: string]: () => unknown } = {
    field: () =>
      class {
        @decorate
        field = 1;
      },
    getter: () =>
      class {
        @decorate
        get it() {
          return 1;
        }
      },
    setter: () =>
      class {
        @decorate
        set it(_: number) {}
      },
    accessor: () =>
      class {
        @decorate
        accessor it = 1;
      },
    class: () => {
      @decorate
      class Decorated {}
      return Decorated;
    },
  };
  for (const [kind, define] of Object.entries(wrong)) {
    assertThrows(define, TypeError, `Cannot wrap a ${kind}: `);
  }
  assertThrows(
    () =>
      class {
        @decorate
        *generate() {}
      },
    TypeError,
    "Cannot wrap a generator function",
  );
});

// --- The quirks of GRIDR's decorator that are mended -----------------------------------------

Deno.test("shmarrayWrap() loads an array that is passed twice once", () => {
  withNames((name) => {
    const sma = share(name, [1, 2]);
    const wrapped = shmarrayWrap((x: Int32, { y }: { y: Int32 }, z: Int32) => {
      assertStrictEquals(x, y);
      assertStrictEquals(x, z);
      assertEquals(mappingsOf(name), 1);
      return sum(x);
    });
    assertEquals(wrapped(sma, { y: sma }, sma), 3);
    assertEquals([sma.smh, mappingsOf(name)], [null, 0]);
  });
});

Deno.test("shmarrayWrap() closes the arrays loaded before one that cannot be", () => {
  withNames((a, b, gone) => {
    const [one, two] = [share(a, [1]), share(b, [2])];
    const missing = new SharedMemoryArray(1, "int32", gone);
    let called = false;
    const wrapped = shmarrayWrap((_x: Int32, _options: { y: Int32; z: Int32 }) => {
      called = true;
    });
    assertThrows(() => wrapped(one, { y: two, z: missing }), Deno.errors.NotFound);
    assertEquals([one.smh, two.smh, mappingsOf(a), mappingsOf(b)], [null, null, 0, 0]);
    assertEquals(called, false);
    // A segment that is too small is refused in the same way.
    const large = new SharedMemoryArray(100, "int32", b);
    assertThrows(() => wrapped(one, { y: large, z: two }), RangeError, "needs 400");
    assertEquals([one.smh, mappingsOf(a), mappingsOf(b)], [null, 0, 0]);
  });
});

Deno.test("shmarrayWrap() closes only what it has opened itself", () => {
  withNames((a, b) => {
    using mine = share(a, [1, 2]);
    const other = share(b, [3]);
    const array = mine.load();
    const wrapped = shmarrayWrap((x: Int32, y: Int32) => {
      assertStrictEquals(x, array);
      return sum(x) + sum(y);
    });
    assertEquals(wrapped(mine, other), 6);
    assertEquals([mine.array === array, array.get(1), other.smh], [true, 2, null]);
    assertThrows(() => wrapped(mine, SharedMemoryArray.clone(other, { name: `${b}-gone` })));
    assertEquals(array.get(1), 2);
  });
});

Deno.test("shmarrayWrap() and load() of an attached instance: an error, not a leak", () => {
  withNames((name) => {
    const sma = share(name, [1]);
    const wrapped = shmarrayWrap((x: Int32) => {
      // The wrapper has attached it: a second load would lose the first mapping.
      assertThrows(() => sma.load(), Deno.errors.Busy);
      assertEquals(mappingsOf(name), 1);
      return x.get(0);
    });
    assertEquals(wrapped(sma), 1);
    assertEquals(mappingsOf(name), 0);
  });
});

Deno.test("shmarrayWrap() closes safely though views of the array are kept", () => {
  withNames((name) => {
    const sma = share(name, [1, 2, 3]);
    const kept = shmarrayWrap((x: Int32) => ({ x, part: x.slice("1:"), data: x.data }))(sma);
    assertThrows(() => kept.x.get(0), Deno.errors.BadResource);
    assertThrows(() => kept.part.fill(1), Deno.errors.BadResource);
    assertEquals(kept.data.length, 0);
    assertEquals(mappingsOf(name), 0);
  });
});

// --- Calls within calls ----------------------------------------------------------------------

Deno.test("shmarrayWrap() keeps one attachment for overlapping async calls", () =>
  withNames(async (name) => {
    const sma = share(name, [1, 2]);
    const seen: Int32[] = [];
    const wrapped = shmarrayWrap(async (x: Int32, ms: number) => {
      seen.push(x);
      await delay(ms);
      return sum(x);
    });
    // The first to begin is the first to end; the second still needs the array then.
    const [first, second, third] = [wrapped(sma, 5), wrapped(sma, 40), wrapped(sma, 20)];
    assertEquals(await first, 3);
    assertEquals(mappingsOf(name), 1);
    const failing = shmarrayWrap((_: Int32) => Promise.reject(new Error("mine")));
    await assertRejects(() => failing(sma), Error, "mine");
    assertEquals(sma.array?.get(0), 1);
    assertEquals(await Promise.all([second, third]), [3, 3]);
    assertStrictEquals(seen[0], seen[1]);
    assertEquals([sma.smh, mappingsOf(name)], [null, 0]);
    assertEquals(await wrapped(sma, 0), 3);
    assertEquals(mappingsOf(name), 0);
  }));

Deno.test("shmarrayWrap() nests", () => {
  withNames((name) => {
    const sma = share(name, [1, 2]);
    const inner = shmarrayWrap(sum);
    const outer = shmarrayWrap((x: Int32) => {
      const before = inner(sma);
      // The inner call must not have closed what the outer one opened.
      return [before, x.get(0)];
    });
    assertEquals(outer(sma), [3, 1]);
    assertEquals(mappingsOf(name), 0);
  });
});

Deno.test("shmarrayWrap() bears that the function closes the array itself", () =>
  withNames(async (name) => {
    const sma = share(name, [1, 2]);
    assertEquals(shmarrayWrap((_: Int32) => sma.close())(sma), undefined);
    assertEquals(mappingsOf(name), 0);
    // And that somebody loads it again meanwhile: that attachment is not the wrapper's.
    const wrapped = shmarrayWrap(async (_: Int32) => {
      await delay(1);
      sma.close();
      sma.load();
    });
    await wrapped(sma);
    assertEquals([sma.array?.get(1), mappingsOf(name)], [2, 1]);
    sma.close();
  }));

// --- Types -----------------------------------------------------------------------------------

Deno.test("shmarrayWrap() takes descriptions where views were taken, to the compiler", () => {
  withNames((name) => {
    const sma = share(name, [1]);
    const wrapped = shmarrayWrap((x: Int32, { n }: { n: number; y?: Int32 }) => x.get(0) + n);
    const view = new NDArray(Int32Array.of(7));
    const results: number[] = [wrapped(sma, { n: 1 }), wrapped(view, { n: 1 })];
    assertEquals(results, [2, 8]);
    const other = new SharedMemoryArray(1, "float32", name);
    // @ts-expect-error: an array of another dtype is not what the function takes
    assertThrows(() => wrapped(other, { n: 1 }), RangeError, "described as shape [1] of int32");
  });
});
