/**
 * The fuzzer: one long random sequence of operations on shared arrays, legal and illegal ones mixed,
 * against a model in plain arrays. `tests/system/fuzz_test.ts` runs it in processes of their own, because
 * what it looks for ends a process.
 *
 * deno run --allow-ffi --allow-read --v8-flags=--expose-gc tests/system/fuzz/child.ts SEED steps|seconds N
 *
 * It prints one line of JSON (see {@linkcode Summary}); at the first thing that is wrong it prints the
 * seed, the step and the last operations, and ends with status 1.
 *
 * @module
 */

import { inspect } from "node:util";
import {
  type DType,
  errors,
  type MemoryLayout,
  NDArray,
  SharedMemory,
  SharedMemoryArray,
  SharedMemoryRegister,
  shmarrayWrap,
  slice,
  type SliceItem,
} from "@shm/array";
import { Random } from "../../helpers/random.ts";
import {
  allDTypes,
  areContiguous,
  areEven,
  broadcast,
  converted,
  elementBytes,
  indexOf,
  isBig,
  Memory,
  nested,
  permute,
  type Places,
  PrivateMemory,
  select,
  stridedPlaces,
  type Value,
  wholePlaces,
} from "./model.ts";
import {
  args,
  collect,
  exit,
  type Helper,
  link,
  markUntransferable,
  pid,
  rename,
  startHelper,
} from "./host.ts";
import type { Reply, Request } from "./worker.ts";

/** What a run has done. */
export interface Summary {
  seed: number;
  steps: number;
  /** How often each operation was done. */
  operations: Record<string, number>;
  /** How many values were read and compared with the model. */
  values: number;
  /** How many misuses gave their documented error. */
  errors: number;
}

/** A segment as it should be: what is behind it, and whether its name still leads to it. */
interface Segment {
  readonly name: string;
  readonly dtype: DType;
  readonly memory: Memory;
  /** What it is described as. */
  readonly made: string;
}

/** Shape, element type and layout, as far as a description tells one array from another. */
function madeAs({ shape, dtype, layout }: SharedMemoryArray): string {
  return JSON.stringify([shape, dtype === "uint8c" ? "uint8" : dtype, layout ?? null]);
}

/** An instance with its present or last attachment. */
interface Attachment {
  sma: SharedMemoryArray;
  /** The handles of this and of all earlier attachments: closing an old one must do nothing. */
  handles: SharedMemory[];
  /** What its buffer shows; `null` if there is no attachment. */
  memory: Memory | null;
  /** Its buffer, while it has not been moved away. */
  buffer: ArrayBuffer | null;
  /** Whether its buffer was marked as one that cannot be moved. */
  marked: boolean;
  /** Where its buffer was moved to. */
  moved: Moved | null;
  views: View[];
}

/** A view and what it should show. */
interface View {
  readonly array: NDArray;
  readonly dtype: DType;
  readonly places: Places;
  /** What it reads; `null` once its memory is gone. */
  memory: Memory | null;
}

/** A buffer that was moved away from its attachment: into another buffer here, or to the worker. */
interface Moved {
  /** The buffer; `null` if the worker has it. */
  buffer: ArrayBuffer | null;
  readonly id: number;
  memory: Memory;
  /**
   * Whether its attachment was dropped without a close: then the finalizer may put zero pages there
   * at any time, and each byte is the shared one or 0.
   */
  wild: boolean;
}

const [seedText, unit, amountText] = args;
const seed = Number(seedText);
const random = new Random(seed);

// What the fuzzer itself uses of what it replaces.
const { transfer } = ArrayBuffer.prototype;
const detachedGetter = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, "detached")!;
const moveOn = (buffer: ArrayBuffer): ArrayBuffer => Reflect.apply(transfer, buffer, []);

/** The names that are played with: few, so that they collide. */
const names = Array.from({ length: 10 }, (_, i) => `fuzz-${pid}-${seed}-${i}`);
/** The names of the last anonymous segments, those that are gone included. */
const anonymous: string[] = [];
const linked = new Map<string, Segment>();
let attachments: Attachment[] = [];
let moved: Moved[] = [];
/** Views whose instance was dropped and never closed: they must stay good as long as they live. */
let orphans: { views: View[]; buffer: ArrayBuffer; marked: boolean }[] = [];
/** Registers, with what they should list. Each is disposed of and used again. */
const registers = Array.from({ length: 3 }, () => ({
  register: new SharedMemoryRegister(),
  names: [] as string[],
}));
let nextId = 0;

const summary: Summary = { seed, steps: 0, operations: {}, values: 0, errors: 0 };
const recent: string[] = [];

function log(text: string): void {
  recent.push(`${summary.steps}: ${text}`);
  if (recent.length > 40) recent.shift();
}

// --- Checks ----------------------------------------------------------------------------------

function check(condition: boolean, what: () => string): asserts condition {
  if (!condition) throw new Error(what());
}

// deno-lint-ignore no-explicit-any -- any class of errors
type ErrorClass = new (...args: any[]) => Error;

/** Does something that must give a documented error. */
function refused(what: string, Class: ErrorClass, message: RegExp, misuse: () => unknown): void {
  let result: unknown;
  try {
    result = misuse();
  } catch (error) {
    check(
      error instanceof Error && error.constructor === Class && message.test(error.message),
      () => `${what} should give ${Class.name} ${message}, and gave ${inspect(error)}`,
    );
    summary.errors++;
    return;
  }
  throw new Error(`${what} should give ${Class.name}, and gave ${inspect(result)}`);
}

function same(what: string, actual: unknown, expected: Value): void {
  summary.values++;
  check(Object.is(actual, expected), () => `${what} is ${actual}, and should be ${expected}`);
}

/** The values that a view should show, in C order. */
function expectedOf({ dtype, places, memory }: View): Value[] {
  return places.positions.map((position) => memory!.read(dtype, position));
}

/** Reads a view in one of the ways that there are, and compares. */
function checkLive(view: View): void {
  const { array, dtype, places, memory } = view;
  const expected = expectedOf(view);
  check(
    String(array.shape) === String(places.shape) && array.size === expected.length &&
      array.dtype === dtype,
    () => `shape [${array.shape}] of ${array.dtype} should be [${places.shape}] of ${dtype}`,
  );
  const compare = (what: string, actual: ArrayLike<unknown>): void => {
    check(
      actual.length === expected.length,
      () => `${what} gives ${actual.length} of ${expected.length} elements`,
    );
    expected.forEach((value, i) => same(`${what}, element ${i}`, actual[i], value));
  };
  switch (random.integer(0, 7)) {
    case 0:
    case 1: {
      if (expected.length === 0) return;
      const number = random.integer(0, expected.length - 1);
      const index = indexOf(number, places.shape)
        .map((i, axis) => random.chance(0.3) ? i - places.shape[axis] : i);
      same(`get(${index})`, array.get(...index), expected[number]);
      same(
        `data[index(${index})]`,
        memory!.read(dtype, firstOf(array) + array.index(...index)),
        expected[number],
      );
      break;
    }
    case 2:
      compare("copy()", array.copy());
      break;
    case 3: {
      const flatten = (value: unknown): unknown[] =>
        Array.isArray(value) ? value.flatMap(flatten) : [value];
      compare(
        "toArray()",
        places.shape.length === 0 ? [array.toArray()] : flatten(array.toArray()),
      );
      break;
    }
    case 4:
      compare("iteration", [...array]);
      break;
    case 5:
      check(
        array.isContiguous() === areContiguous(places),
        () => `isContiguous() of ${places.positions}`,
      );
      if (!areContiguous(places)) {
        refused("subarray()", RangeError, /not contiguous/, () => array.subarray());
      } else if (dtype !== "bool") {
        compare("subarray()", array.subarray());
      }
      break;
    case 6:
      compare("get() of all", expected.map((_, i) => array.get(...indexOf(i, places.shape))));
      break;
    case 7:
      check(String(array).length > 0 && inspect(array).length > 0, () => "it prints nothing");
      break;
  }
}

/** Tries a view whose memory is gone: every method refuses, every bare access is harmless. */
function checkDead({ array, dtype, places }: View): void {
  const zeros = places.shape.map(() => 0);
  const value = (isBig(dtype) ? 1n : 1) as never;
  const set = array.set as (...args: unknown[]) => void;
  const misuses: [string, () => unknown][] = [
    ["get()", () => array.get(...zeros)],
    ["set()", () => set.call(array, ...zeros, value)],
    ["index()", () => array.index(...zeros)],
    ["slice()", () => array.slice()],
    ["subarray()", () => array.subarray()],
    ["fill()", () => array.fill(value)],
    ["assign()", () => array.assign(value)],
    ["assign() from it", () => new NDArray(new Uint8Array(1), { dtype: "bool" }).assign(array)],
    ["copy()", () => array.copy()],
    ["toArray()", () => array.toArray()],
    ["reshape()", () => array.reshape(-1)],
    ["transpose()", () => array.transpose()],
    ["isContiguous()", () => array.isContiguous()],
    ["iteration", () => [...array]],
    ["toString()", () => array.toString()],
    ["toJSON()", () => array.toJSON()],
    ["from()", () => SharedMemoryArray.from(array)],
    ["new NDArray(data)", () => new NDArray(array.data)],
  ];
  const [what, misuse] = random.oneOf(misuses);
  refused(`${what} after close`, errors.BadResource, /memory is gone/, misuse);
  const data = array.data as unknown as { [position: number]: unknown; length: number };
  check(
    data.length === 0 && data[0] === undefined && array.data.byteLength === 0,
    () => "data of a closed array is not empty",
  );
  data[0] = value;
  check(data[0] === undefined, () => "a write to a closed array was kept");
  check(/closed/.test(inspect(array)), () => "it does not print as closed");
  if (!dtype.startsWith("float") && dtype !== "uint8c") {
    refused(
      "Atomics after close",
      TypeError,
      /detached/,
      () => Atomics.add(array.data as Int32Array, 0, value),
    );
  }
}

/** A view of the same memory: by the same attachment or by another one. */
function neighbour(view: View | undefined): View | undefined {
  if (view?.memory == null) return undefined;
  const all = attachments.flatMap(({ views }) => views);
  const near = all.filter(({ memory }) => memory === view.memory);
  // Mostly one of the same size: that is what can be assigned.
  const size = view.places.positions.length;
  let fitting = near.filter(({ places }) => places.positions.length === size && size > 1);
  // Best one that shows other elements, so that a wrong order of copies is seen.
  const shifted = fitting.filter(({ places }) =>
    String(places.positions) !== String(view.places.positions)
  );
  if (shifted.length > 0) fitting = shifted;
  return random.oneOf(fitting.length > 0 && random.chance(0.8) ? fitting : [...near, view]);
}

function checkView(view: View): void {
  if (view.memory === null) checkDead(view);
  else checkLive(view);
}

/** Compares what was read of moved memory. */
function checkBytes(what: string, actual: Uint8Array, { memory, wild }: Moved): void {
  const expected = memory.bytes;
  check(actual.length === expected.length, () => `${what} has ${actual.length} bytes`);
  for (let i = 0; i < actual.length; i++) {
    summary.values++;
    check(
      actual[i] === expected[i] || (wild && actual[i] === 0),
      () => `${what}: byte ${i} is ${actual[i]}, and should be ${expected[i]}`,
    );
  }
}

/** Where a view's typed array begins in its segment, in elements. */
function firstOf({ data }: NDArray): number {
  return data.byteOffset / data.BYTES_PER_ELEMENT;
}

/** Where the elements of an instance should be, its arraySlice not applied. */
function placesOf({ shape, dtype, layout }: SharedMemoryArray): Places {
  if (layout === undefined) return wholePlaces(shape);
  const { byteOffset = 0, stride } = layout;
  return stridedPlaces(shape, byteOffset / elementBytes(dtype), stride!);
}

/** How many bytes an instance needs. */
function bytesOf(sma: SharedMemoryArray): number {
  return (Math.max(...placesOf(sma).positions) + 1) * elementBytes(sma.dtype);
}

// --- Random things ---------------------------------------------------------------------------

/** A shape of few elements, seldom of several pages. */
function randomShape(): number[] {
  if (random.chance(0.01)) return [random.integer(3000, 9000)];
  return Array.from({ length: random.integer(0, 3) }, () => random.integer(1, 4));
}

function randomValue(dtype: DType): Value {
  const number = random.chance(0.2) ? random.integer(-70_000, 70_000) : random.integer(0, 100);
  if (isBig(dtype)) return BigInt(number) * (random.chance(0.2) ? 2n ** 40n : 1n);
  return dtype.startsWith("float") ? (random.chance(0.05) ? NaN : number / 8) : number;
}

/** A legal selection: integers and ranges. */
function randomSelection(shape: readonly number[]): SliceItem[] {
  const bound = (length: number): number | null =>
    random.chance(0.4) ? null : random.integer(-length - 2, length + 2);
  return shape.slice(0, random.integer(0, shape.length)).map((length) => {
    if (length > 0 && random.chance(0.25)) return random.integer(-length, length - 1);
    if (random.chance(0.2)) return null;
    const step = random.oneOf([null, 1, 1, 2, 3, -1, -1, -2]);
    return slice(bound(length), bound(length), step);
  });
}

function anyName(): string {
  return random.oneOf(anonymous.length > 0 && random.chance(0.25) ? anonymous : names);
}

/** A layout that no element shares with another: axes in any order and direction, gaps, a header. */
function randomLayout(shape: readonly number[], dtype: DType): MemoryLayout {
  const stride = new Array<number>(shape.length);
  let step = random.integer(1, 2);
  let first = random.integer(0, 3);
  for (const axis of random.permutation(shape.length)) {
    const backwards = random.chance(0.3);
    stride[axis] = backwards ? -step : step;
    if (backwards) first += (shape[axis] - 1) * step;
    step = shape[axis] * step + random.integer(0, 2);
  }
  return { byteOffset: first * elementBytes(dtype), stride };
}

/** How a missing segment is told of, whichever kind it is. */
const MISSING = /: (shm_open|open 'memfd:)/;

/** A page on most machines: what a write makes private is one, or part of it. */
const PAGE = 4096;

/** Whether two such dtypes are one to a description. */
function isBytes(dtype: DType): boolean {
  return dtype === "uint8" || dtype === "uint8c";
}

/** Loads an instance as everybody does, or copy-on-write. */
function loaded(attachment: Attachment, segment: Segment, places: Places): void {
  const { sma } = attachment;
  const isPrivate = segment.memory.bytes.length <= PAGE && random.chance(0.2);
  if (segment.dtype !== sma.dtype && !(isBytes(segment.dtype) && isBytes(sma.dtype))) {
    refused("load() as another dtype", RangeError, /described as shape/, () => sma.load());
  }
  // What is described as this very array needs no option.
  const reinterpret = segment.made !== madeAs(sma) || random.chance(0.1);
  const array = isPrivate
    ? sma.load({ access: "copy-on-write", reinterpret })
    : sma.load({ reinterpret });
  attached(
    attachment,
    isPrivate ? new PrivateMemory(segment.memory) : segment.memory,
    array,
    places,
  );
}

function anyAttachment(): Attachment | undefined {
  return attachments.length === 0 ? undefined : random.oneOf(attachments);
}

/** A view, more often a live one. */
function anyView(): View | undefined {
  for (let tries = 0; tries < 4; tries++) {
    const views = random.chance(0.15) && orphans.length > 0
      ? random.oneOf(orphans).views
      : anyAttachment()?.views ?? [];
    if (views.length === 0) continue;
    const view = random.oneOf(views);
    if (view.memory !== null || tries === 3) return view;
  }
  return undefined;
}

// --- Changes of state, in the model ----------------------------------------------------------

function attached(attachment: Attachment, memory: Memory, array: NDArray, places: Places): void {
  const { sma } = attachment;
  attachment.handles.push(sma.smh!);
  attachment.memory = memory;
  attachment.buffer = sma.smh!.buf!;
  attachment.marked = false;
  attachment.views.push({ array, dtype: sma.dtype, places, memory });
  check(sma.array === array, () => "array is not what was returned");
}

/**
 * What closing does: the views die; a buffer that was moved away, or that cannot be, gets zero pages of its own.
 */
function detached(attachment: Attachment): void {
  if (attachment.marked && attachment.memory !== null) {
    const { bytes, floats } = attachment.memory;
    const zeros = new Memory(bytes.length, floats);
    const views = attachment.views.filter(({ memory }) => memory !== null);
    for (const view of views) {
      view.memory = zeros;
      if (view.places.positions.length === 0) continue;
      refused(
        "from() of a view that lost its segment",
        TypeError,
        /its memory is no segment/,
        () => SharedMemoryArray.from(view.array),
      );
    }
    attachment.views = attachment.views.filter(({ memory }) => memory === null);
    orphans.push({ views, buffer: attachment.buffer!, marked: true });
    attachment.marked = false;
  }
  for (const view of attachment.views) view.memory = null;
  if (attachment.moved !== null && attachment.memory !== null) {
    attachment.moved.memory = new Memory(attachment.memory.bytes.length);
  }
  attachment.memory = null;
  attachment.buffer = null;
  attachment.moved = null;
}

/** Notes that an attachment's buffer is somewhere else now. */
function movedAway(buffer: ArrayBuffer | null, memory: Memory, owner: Attachment | null): Moved {
  const entry = { buffer, id: nextId++, memory, wild: owner === null };
  moved.push(entry);
  if (owner !== null) {
    owner.moved = entry;
    owner.buffer = null;
    for (const view of owner.views) view.memory = null;
  }
  return entry;
}

// --- The worker ------------------------------------------------------------------------------

let worker: Helper | null = null;

function ask(request: Request, transfer: ArrayBuffer[] = []): Promise<Reply> {
  worker ??= startHelper(new URL("./worker.ts", import.meta.url));
  return worker.ask(request, transfer);
}

// --- Operations ------------------------------------------------------------------------------

/** The operations, with how often each is done relative to the others. */
const operations: { [name: string]: [weight: number, run: () => void | Promise<void>] } = {
  create: [20, () => {
    const name = anyName();
    const dtype = random.oneOf(allDTypes);
    const shape = randomShape();
    const layout = random.chance(0.2) ? randomLayout(shape, dtype) : null;
    const sma = new SharedMemoryArray(shape, dtype, name, null, layout) as SharedMemoryArray;
    if (anonymous.includes(name)) {
      return refused(
        "create() of such a name",
        RangeError,
        /names of this form/,
        () => sma.create(),
      );
    }
    const options = { reserve: random.chance(0.7), mode: random.oneOf([0o600, 0o644]) };
    if (linked.has(name)) {
      refused(
        "create() of a taken name",
        errors.AlreadyExists,
        /shm_open/,
        () => sma.create(options),
      );
      check(sma.smh === null, () => "attached in spite of the error");
      return;
    }
    const memory = new Memory(bytesOf(sma), dtype.startsWith("float"));
    linked.set(name, { name, dtype, memory, made: madeAs(sma) });
    const attachment = fresh(sma);
    attached(attachment, memory, sma.create(options), placesOf(sma));
    attachments.push(attachment);
  }],

  "create anonymous": [6, () => {
    const dtype = random.oneOf(allDTypes);
    const shape = randomShape();
    const options = { reserve: random.chance(0.7), mode: random.oneOf([0o600, 0o644]) };
    const sma = SharedMemoryArray.createAnonymous(shape, dtype, options) as SharedMemoryArray;
    const memory = new Memory(bytesOf(sma), dtype.startsWith("float"));
    check(!linked.has(sma.name), () => `${sma.name} is there already`);
    linked.set(sma.name, { name: sma.name, dtype, memory, made: madeAs(sma) });
    anonymous.push(sma.name);
    if (anonymous.length > 8) unlinkAnonymous(anonymous.shift()!);
    const { array } = sma;
    const attachment = blank(sma);
    attached(attachment, memory, array!, placesOf(sma));
    attachments.push(attachment);
  }],

  load: [20, () => {
    const name = anyName();
    const segment = linked.get(name);
    if (segment === undefined) {
      const sma = new SharedMemoryArray(1, "int8", name);
      const timeout = random.chance(0.05) ? 1 : 0;
      refused(
        "load() of a missing name",
        errors.NotFound,
        MISSING,
        () => sma.load({ timeout }),
      );
      return;
    }
    // Of whole numbers any reading can be predicted; of floats a foreign one could meet a NaN
    // whose bits a copy need not keep.
    const whole = allDTypes.filter((dtype) => !dtype.startsWith("float"));
    const dtype = whole.includes(segment.dtype) ? random.oneOf(whole) : segment.dtype;
    const count = Math.floor(segment.memory.bytes.length / elementBytes(dtype));
    if (random.chance(0.1) || count === 0) {
      const sma = new SharedMemoryArray(count + random.integer(1, 9), dtype, name);
      refused("load() of too much", RangeError, /the segment has \d+ bytes/, () => sma.load());
      check(sma.smh === null, () => "attached in spite of the error");
      return;
    }
    const shape = [random.integer(1, count)];
    if (shape[0] % 2 === 0 && random.chance(0.5)) shape.splice(0, 1, shape[0] / 2, 2);
    const selection = random.chance(0.5) ? null : randomSelection(shape);
    const layout = random.chance(0.3) ? randomLayout(shape, dtype) : null;
    const description = { shape, dtype, name, arraySlice: selection, layout };
    const sma = random.chance(0.5)
      ? new SharedMemoryArray(shape, dtype, name, selection, layout) as SharedMemoryArray
      : SharedMemoryArray.from(JSON.parse(JSON.stringify(description))) as SharedMemoryArray;
    if (bytesOf(sma) > segment.memory.bytes.length) {
      return refused(
        "load() beyond the end",
        RangeError,
        /needs \d+ in its layout/,
        () => sma.load(),
      );
    }
    const attachment = fresh(sma);
    loaded(attachment, segment, select(placesOf(sma), selection ?? []));
    attachments.push(attachment);
  }],

  "load again": [12, () => {
    const attachment = anyAttachment();
    if (attachment === undefined) return;
    const { sma } = attachment;
    if (attachment.memory !== null) {
      refused("load() twice", errors.Busy, /attached already/, () => sma.load());
      refused("create() twice", errors.Busy, /attached already/, () => sma.create());
      return;
    }
    const segment = linked.get(sma.name);
    const need = bytesOf(sma);
    if (segment === undefined) {
      refused("load() after unlink", errors.NotFound, MISSING, () => sma.load());
    } else if (segment.memory.bytes.length < need) {
      refused("load() of a successor", RangeError, /needs/, () => sma.load());
    } else if (segment.dtype.startsWith("float") === sma.dtype.startsWith("float")) {
      if (segment.dtype.startsWith("float") && segment.dtype !== sma.dtype) return;
      loaded(attachment, segment, select(placesOf(sma), sma.arraySlice ?? []));
    }
  }],

  close: [14, () => {
    const attachment = anyAttachment();
    if (attachment === undefined) return;
    close(attachment);
  }],

  "dispose twice": [4, () => {
    const attachment = anyAttachment();
    if (attachment === undefined) return;
    attachment.sma[Symbol.dispose]();
    close(attachment);
    attachment.sma[Symbol.dispose]();
    // An old handle must not close what has come after it.
    random.oneOf(attachment.handles).close();
  }],

  "close an old handle": [5, () => {
    const attachment = anyAttachment();
    if (attachment === undefined || attachment.memory === null) return;
    for (const handle of attachment.handles.slice(0, -1)) handle.close();
    check(attachment.sma.smh !== null, () => "an old handle closed a new attachment");
  }],

  "close through smh": [6, () => {
    const attachment = anyAttachment();
    if (attachment === undefined || attachment.memory === null) return;
    const { smh } = attachment.sma;
    smh!.close();
    detached(attachment);
    check(
      smh!.buf === null && attachment.sma.smh === null && attachment.sma.array === null,
      () => "something is left after smh.close()",
    );
  }],

  unlink: [10, () => {
    const name = anyName();
    const expected = linked.delete(name);
    const removed = random.chance(0.5)
      ? new SharedMemoryArray(1, "int8", name).unlink()
      : SharedMemoryArray.clearBuffers([name, name]).length === 1;
    check(removed === expected, () => `unlink() of ${name} gave ${removed}`);
  }],

  read: [60, () => {
    const view = anyView();
    if (view !== undefined) checkView(view);
  }],

  "read bare": [12, () => {
    // What a program does that took `.data` and forgot that it can close.
    const view = anyView();
    if (view === undefined) return;
    const { array, dtype, places, memory } = view;
    if (memory === null) return checkDead(view);
    if (places.positions.length === 0 || dtype === "bool") return;
    const position = random.oneOf(places.positions);
    same(`data[${position}]`, array.data[position - firstOf(array)], memory.read(dtype, position));
  }],

  write: [40, () => {
    const view = anyView();
    if (view === undefined) return;
    const { array, dtype, places, memory } = view;
    if (memory === null) return checkDead(view);
    if (places.positions.length === 0) return;
    const number = random.integer(0, places.positions.length - 1);
    const value = randomValue(dtype);
    const index = indexOf(number, places.shape);
    const bare = random.chance(0.3) && dtype !== "bool";
    log(`write ${value} to [${index}] of ${dtype}${bare ? ", bare" : ""}`);
    if (bare) array.data[array.index(...index)] = value as never;
    else (array.set as (...args: unknown[]) => void).call(array, ...index, value);
    memory.write(dtype, places.positions[number], value);
  }],

  fill: [8, () => {
    const view = anyView();
    if (view === undefined) return;
    const { array, dtype, places, memory } = view;
    if (memory === null) return checkDead(view);
    const value = randomValue(dtype);
    log(`fill ${dtype} [${places.shape}] with ${value}`);
    array.fill(value as never);
    for (const position of places.positions) memory.write(dtype, position, value);
  }],

  "assign nested": [6, () => {
    const view = anyView();
    if (view === undefined) return;
    const { array, dtype, places, memory } = view;
    if (memory === null) return checkDead(view);
    // As in NumPy, `[]` has one axis, whatever else an empty target has.
    if (places.positions.length === 0) return;
    const values = places.positions.map(() => randomValue(dtype));
    array.assign(nested(places.shape, values) as never);
    places.positions.forEach((position, i) => memory.write(dtype, position, values[i]));
  }],

  "assign a view": [16, () => {
    const target = anyView();
    const source = random.chance(0.5) ? anyView() : neighbour(target);
    if (target === undefined || source === undefined) return;
    log(
      `assign ${source.dtype} [${source.places.shape}] to ${target.dtype} [${target.places.shape}]`,
    );
    const assign = (): unknown => target.array.assign(source.array as never);
    if (target.memory === null || source.memory === null) {
      return refused("assign() after close", errors.BadResource, /memory is gone/, assign);
    }
    const which = broadcast(source.places.shape, target.places.shape);
    if (which === null) {
      return refused("assign() of another shape", RangeError, /does not broadcast/, assign);
    }
    // All of them before the first is stored: they may overlap.
    const values = expectedOf(source).map((value) => converted(value, target.dtype));
    assign();
    if (target.memory instanceof PrivateMemory && values.length > 0 && which.length > 0) {
      // Elements that are moved onto themselves are not written, and their page need not become private.
      const zeros = target.places.shape.map(() => 0);
      (target.array.set as (...args: unknown[]) => void)(...zeros, target.array.get(...zeros));
    }
    target.places.positions.forEach((position, i) =>
      target.memory!.write(target.dtype, position, values[which[i]])
    );
  }],

  slice: [16, () =>
    keepView((view) => {
      const selection = randomSelection(view.places.shape);
      log(`slice [${view.places.shape}] by ${JSON.stringify(selection)}`);
      return [view.array.slice(...selection), select(view.places, selection)];
    })],

  transpose: [5, () =>
    keepView((view) => {
      const axes = random.permutation(view.places.shape.length);
      return [view.array.transpose(axes), permute(view.places, axes)];
    })],

  reshape: [5, () =>
    keepView((view) => {
      const { array, places } = view;
      if (!areEven(places)) {
        refused("reshape()", RangeError, /not contiguous/, () =>
          array.reshape(places.positions.length));
        return null;
      }
      const shape = [places.positions.length, 1];
      return [array.reshape(shape), { shape, positions: places.positions }];
    })],

  "describe a view": [8, () => {
    // What a program sends in the place of a view: its description, of which another one is made.
    const view = anyAttachment()?.views.findLast(({ memory }) => memory !== null);
    if (view === undefined) return;
    const { array, places, memory } = view;
    const { name, dtype } = array.toJSON();
    check(array.dtype === dtype, () => `toJSON() gives ${dtype}`);
    if (places.positions.length === 0) {
      return refused(
        "from() of no elements",
        RangeError,
        /has no elements/,
        () => SharedMemoryArray.from(array),
      );
    }
    const sma = (random.chance(0.5)
      ? SharedMemoryArray.from(array)
      : SharedMemoryArray.from(JSON.parse(JSON.stringify(array)))) as SharedMemoryArray;
    const segment = linked.get(name);
    if (segment === undefined) {
      return refused("load() after unlink", errors.NotFound, MISSING, () =>
        sma.load());
    }
    // The name may have a successor.
    if (segment.memory !== (memory instanceof PrivateMemory ? memory.base : memory)) return;
    const attachment = fresh(sma);
    loaded(attachment, segment, places);
    attachments.push(attachment);
  }],

  "misuse a live view": [12, () => {
    const view = anyView();
    if (view === undefined || view.memory === null) return;
    misuse(view);
  }],

  "iterate across close": [4, () => {
    const attachment = anyAttachment();
    if (attachment?.memory == null || attachment.moved !== null || attachment.marked) return;
    const view = random.oneOf(attachment.views);
    if (view.memory === null || view.places.positions.length < 2) return;
    const expected = expectedOf(view);
    const iterator = view.array[Symbol.iterator]();
    same("the first element", iterator.next().value, expected[0]);
    close(attachment);
    refused("next() after close", errors.BadResource, /memory is gone/, () => iterator.next());
  }],

  wrap: [8, () => {
    const attachment = anyAttachment();
    if (attachment === undefined || attachment.moved !== null) return;
    const { sma, memory } = attachment;
    if (memory === null) {
      const segment = linked.get(sma.name);
      if (segment?.dtype !== sma.dtype || segment.made !== madeAs(sma)) return;
      if (segment.memory.bytes.length < bytesOf(sma)) return;
      const places = select(placesOf(sma), sma.arraySlice ?? []);
      const given = random.chance(0.5) ? sma : JSON.parse(JSON.stringify(sma));
      const view = shmarrayWrap(
        (first: NDArray, { second }: { second: NDArray }, [third]: NDArray[]) => {
          check(first === second && second === third, () => "one array was loaded twice");
          const inside = { array: first, dtype: sma.dtype, places, memory: segment.memory };
          checkLive(inside);
          return inside;
        },
      )(given, { second: given }, [given === sma ? sma : { ...given }]);
      checkDead({ ...view, memory: null });
      check(sma.smh === null, () => "still attached after a wrapped call");
    } else {
      const given = shmarrayWrap((array: NDArray) => array)(sma);
      check(given === sma.array, () => "a wrapped function got another array");
      check(sma.smh !== null, () => "a wrapper closed what it did not open");
    }
  }],

  "move the buffer": [3, () => {
    const attachment = anyAttachment();
    if (attachment?.buffer == null) return;
    const buffer = attachment.buffer;
    if (attachment.marked) return cannotMove(buffer);
    const entry = movedAway(null, attachment.memory!, attachment);
    entry.buffer = random.chance(0.5)
      ? moveOn(buffer)
      : structuredClone(buffer, { transfer: [buffer] });
  }],

  "send the buffer": [3, async () => {
    const attachment = anyAttachment();
    if (attachment?.buffer == null || attachment.marked) return;
    const buffer = attachment.buffer;
    const { id } = movedAway(null, attachment.memory!, attachment);
    await ask({ what: "keep", id, buffer }, [buffer]);
  }],

  "move an orphan": [1, () => {
    const orphan = orphans.shift();
    const memory = orphan?.views[0]?.memory;
    if (orphan === undefined || memory == null) return;
    if (orphan.marked) return cannotMove(orphan.buffer);
    movedAway(moveOn(orphan.buffer), memory, null);
  }],

  "move on": [3, async () => {
    if (moved.length === 0) return;
    const entry = random.oneOf(moved);
    if (entry.buffer === null) {
      entry.buffer = await ask({ what: "back", id: entry.id }) as ArrayBuffer;
    } else if (random.chance(0.5)) {
      entry.buffer = moveOn(entry.buffer);
    } else {
      const { buffer } = entry;
      entry.buffer = null;
      await ask({ what: "keep", id: entry.id, buffer }, [buffer]);
    }
  }],

  "read what was moved": [14, async () => {
    if (moved.length === 0) return;
    const entry = random.oneOf(moved);
    const bytes = entry.buffer === null
      ? await ask({ what: "read", id: entry.id }) as Uint8Array
      : new Uint8Array(entry.buffer);
    checkBytes(entry.buffer === null ? "what the worker reads" : "what was moved", bytes, entry);
  }],

  "write to what was moved": [8, async () => {
    if (moved.length === 0) return;
    const entry = random.oneOf(moved);
    const at = random.integer(0, entry.memory.bytes.length - 1);
    // A single byte could turn a NaN into another one, whose bits a copy need not keep.
    if (entry.memory.floats) return;
    if (entry.wild) {
      // Only what is there already, so that it does not matter whose page it is.
      if (entry.buffer !== null) {
        const bytes = new Uint8Array(entry.buffer);
        bytes[at] = bytes[at] + 0;
        entry.memory.poke(at, entry.memory.bytes[at]);
      }
      return;
    }
    const byte = random.integer(0, 255);
    if (entry.buffer === null) await ask({ what: "write", id: entry.id, at, byte });
    else new Uint8Array(entry.buffer)[at] = byte;
    entry.memory.poke(at, byte);
  }],

  "drop what was moved": [3, async () => {
    const [entry] = moved.splice(random.integer(0, moved.length), 1);
    if (entry?.buffer === null) await ask({ what: "drop", id: entry.id });
  }],

  "load in the worker": [3, async () => {
    const segment = linked.get(anyName());
    if (segment === undefined) return;
    const { name, memory } = segment;
    const descriptor = { shape: [memory.bytes.length], dtype: "uint8", name } as const;
    const bytes = await ask({ what: "load", descriptor }) as Uint8Array;
    checkBytes("what the worker loads", bytes, { buffer: null, id: -1, memory, wild: false });
  }],

  "end the worker": [0.15, () => {
    worker?.terminate();
    worker = null;
    moved = moved.filter(({ buffer }) => buffer !== null);
  }],

  forget: [4, () => {
    // A program that drops an instance without closing it: its views and moved memory live on.
    const [attachment] = attachments.splice(random.integer(0, attachments.length), 1);
    if (attachment?.memory == null) return;
    if (attachment.moved !== null) attachment.moved.wild = true;
    else if (random.chance(0.6)) {
      const views = attachment.views.filter(({ memory }) => memory !== null);
      orphans.push({ views, buffer: attachment.buffer!, marked: attachment.marked });
    }
  }],

  "forget an orphan": [3, () => {
    orphans.splice(random.integer(0, orphans.length), 1);
  }],

  "replace a method": [2, () => {
    // What a polyfill does, or a module that means no good; nothing may depend on it.
    const what = random.integer(0, 3);
    const { prototype } = ArrayBuffer;
    if (what === 0) {
      prototype.transfer = transfer;
      Object.defineProperty(prototype, "detached", detachedGetter);
    } else if (what === 1) {
      const get = random.oneOf([() => true, () => false]);
      Object.defineProperty(prototype, "detached", { get, configurable: true });
    } else {
      prototype.transfer = anyTransfer() as typeof transfer;
    }
  }],

  "give a buffer a method": [3, () => {
    const buffer = anyAttachment()?.buffer;
    if (buffer == null) return;
    if (random.chance(0.5)) {
      Object.defineProperty(buffer, "transfer", { value: anyTransfer(), configurable: true });
    } else {Object.defineProperty(buffer, "detached", {
        value: random.chance(0.5),
        configurable: true,
      });}
  }],

  "mark a buffer": [2, () => {
    const attachment = anyAttachment();
    if (attachment?.buffer == null || markUntransferable === null) return;
    markUntransferable(attachment.buffer);
    attachment.marked = true;
  }],

  "rename a segment": [5, () => {
    const pair = twoNames();
    if (pair === null) return;
    const [segment, to] = pair;
    log(`rename ${segment.name} to ${to}`);
    check(rename(segment.name, to), () => "rename() failed");
    // Of two names of one file neither goes.
    if (linked.get(to)?.memory === segment.memory) return;
    linked.delete(segment.name);
    linked.set(to, { ...segment, name: to });
    loadAs(segment, to);
  }],

  "link a segment": [5, () => {
    const pair = twoNames();
    if (pair === null) return;
    const [segment, to] = pair;
    log(`link ${segment.name} to ${to}`);
    const isFree = !linked.has(to);
    check(link(segment.name, to) === isFree, () => "link()");
    if (!isFree) return;
    linked.set(to, { ...segment, name: to });
    loadAs(segment, to);
  }],

  "list in a register": [6, () => {
    const { register, names: expected } = random.oneOf(registers);
    const name = anyName();
    log(`list ${name}`);
    switch (random.integer(0, 4)) {
      case 0:
        register.unshift(name);
        expected.unshift(name);
        break;
      case 1:
        register[0] = name;
        expected[0] = name;
        break;
      case 2:
        check(register.pop() === expected.pop(), () => "pop() of a register");
        break;
      default:
        register.push(name, name);
        expected.push(name, name);
    }
    check(String([...register]) === String(expected), () => `a register lists ${register}`);
  }],

  "dispose a register": [2, () => {
    const entry = random.oneOf(registers);
    log(`dispose ${entry.names}`);
    if (random.chance(0.2)) {
      registers.splice(registers.indexOf(entry), 1, {
        register: new SharedMemoryRegister(),
        names: [],
      });
    }
    entry.register[Symbol.dispose]();
    for (const name of entry.names.splice(0)) linked.delete(name);
    check(entry.register.length === 0, () => "a register is not empty after its end");
  }],

  "collect garbage": [0.6, collectGarbage],

  list: [0.15, () => {
    const found = SharedMemoryArray.list().filter(({ name }) => names.includes(name));
    const expected = [...linked.keys()].filter((name) => names.includes(name)).sort();
    check(
      String(found.map(({ name }) => name)) === String(expected),
      () => `list() gives ${found.map(({ name }) => name)}, and should give ${expected}`,
    );
    for (const { name, byteLength } of found) {
      same(`byteLength of ${name}`, byteLength, linked.get(name)!.memory.bytes.length);
    }
  }],
};

function fresh(sma: SharedMemoryArray): Attachment {
  check(sma.smh === null && sma.array === null, () => "attached before create() or load()");
  return blank(sma);
}

function blank(sma: SharedMemoryArray): Attachment {
  return {
    sma,
    handles: [],
    memory: null,
    buffer: null,
    marked: false,
    moved: null,
    views: [],
  };
}

/** A method that somebody puts in the place of `transfer()`. */
function anyTransfer(): (this: ArrayBuffer, length?: number) => ArrayBuffer {
  return random.oneOf([
    function (this: ArrayBuffer, length = this.byteLength) { // a polyfill that copies
      const copy = new ArrayBuffer(length);
      const bytes = new Uint8Array(this);
      new Uint8Array(copy).set(bytes.subarray(0, Math.min(length, bytes.length)));
      return copy;
    },
    function (this: ArrayBuffer) {
      return this;
    },
    () => new ArrayBuffer(0),
    () => {
      throw new Error("no transfer");
    },
  ]);
}

/** Tries to move a buffer that was marked as one that cannot be moved. */
function cannotMove(buffer: ArrayBuffer): void {
  let moved = true;
  try {
    if (random.chance(0.5)) moveOn(buffer);
    else structuredClone(buffer, { transfer: [buffer] });
  } catch {
    moved = false;
  }
  check(!moved, () => "a buffer that was marked was moved");
}

/** Attaches to a segment by another name than who has it already: their views overlap all the same. */
function loadAs({ memory }: Segment, name: string): void {
  const before = attachments.find((attachment) => attachment.memory === memory);
  if (before === undefined) return;
  const sma = SharedMemoryArray.clone(before.sma, { name, arraySlice: null }) as SharedMemoryArray;
  const attachment = fresh(sma);
  const array = sma.load({ reinterpret: true });
  const places = placesOf(sma);
  attached(attachment, memory, array, places);
  attachments.push(attachment);
  // All elements in the opposite order, through both.
  const source = before.views.find((view) =>
    view.memory === memory && String(view.places.shape) === String(places.shape) &&
    String(view.places.positions) === String(places.positions)
  );
  if (source === undefined) return;
  const values = expectedOf(source);
  array.slice(...places.shape.map(() => "::-1")).assign(source.array as never);
  places.positions.toReversed().forEach((position, i) =>
    memory.write(sma.dtype, position, values[i])
  );
}

/** Two different names of segments that have one; the second may be free. */
function twoNames(): [Segment, string] | null {
  const segment = linked.get(random.oneOf(names));
  const to = random.oneOf(names);
  return segment === undefined || segment.name === to ? null : [segment, to];
}

function unlinkAnonymous(name: string): void {
  const expected = linked.delete(name);
  const removed = new SharedMemoryArray(1, "int8", name).unlink();
  check(removed === expected, () => `unlink() of ${name} gave ${removed}`);
}

function close(attachment: Attachment): void {
  const { sma } = attachment;
  sma.close();
  detached(attachment);
  check(sma.smh === null && sma.array === null, () => "attached after close()");
}

/** Derives a view, or tries to of a dead one, and keeps it. */
function keepView(make: (view: View) => [NDArray, Places] | null): void {
  const attachment = anyAttachment();
  if (attachment === undefined || attachment.views.length === 0) return;
  const view = random.oneOf(attachment.views);
  if (view.memory === null) return checkDead(view);
  const made = make(view);
  if (made === null) return;
  const [array, places] = made;
  attachment.views.push({ array, dtype: view.dtype, places, memory: view.memory });
}

/** Calls with arguments that are wrong: nothing changes, which the next reads prove. */
function misuse({ array, dtype, places }: View): void {
  const { shape } = places;
  const zeros = shape.map(() => 0);
  const value = isBig(dtype) ? 1n : 1;
  const other = isBig(dtype) ? 1 : 1n;
  const set = (...args: unknown[]): unknown =>
    (array.set as (...args: unknown[]) => void).call(array, ...args);
  const get = (...args: unknown[]): unknown =>
    (array.get as (...args: unknown[]) => Value).call(array, ...args);
  const misuses: [string, ErrorClass, RegExp, () => unknown][] = [
    ["too many indices", RangeError, /Cannot reach an element/, () => get(...zeros, 0)],
    ["set() with too many", RangeError, /Cannot reach/, () => set(...zeros, 0, value)],
    ["too many items", RangeError, /indices for an array/, () => array.slice(...zeros, 0, 0)],
    ["a wrong permutation", RangeError, /must name each/, () => array.transpose(...zeros, 0)],
    ["a wrong size", RangeError, /does not fill/, () => array.reshape(places.positions.length + 1)],
  ];
  if (shape.length > 0) {
    const beyond = [...zeros.slice(1), shape.at(-1)!];
    const before = [...zeros.slice(1), -shape.at(-1)! - 1];
    misuses.push(
      ["a wrong item", RangeError, /is no index/, () => array.slice("x")],
      ["a step of 0", RangeError, /step must not be 0/, () => array.slice("::0")],
      ["get() beyond", RangeError, /out of bounds/, () => get(...beyond)],
      ["get() before", RangeError, /out of bounds/, () => get(...before)],
      ["set() beyond", RangeError, /out of bounds/, () => set(...beyond, value)],
      ["set() before", RangeError, /out of bounds/, () => set(...before, value)],
      ["get() of half", RangeError, /must be a safe integer/, () => get(...zeros.slice(1), 0.5)],
      ["get() of text", TypeError, /must be an integer/, () => get(...zeros.slice(1), "0")],
      ["get() of none", RangeError, /Cannot reach an element/, () => get()],
    );
  }
  if (dtype !== "bool" && places.positions.length > 0) {
    misuses.push(
      ["set() of another kind", TypeError, /Cannot store/, () => set(...zeros, other)],
      ["fill() of another kind", TypeError, /Cannot store/, () => array.fill(other as never)],
      ["assign() of text", TypeError, /Cannot store/, () => array.assign("1" as never)],
    );
  }
  const [what, Class, message, run] = random.oneOf(misuses);
  // An empty axis has no legal index at all: any of them is out of bounds.
  const empty = places.positions.length === 0;
  if (empty && /get|set|wrong|indices|items/.test(what)) return;
  refused(what, Class, message, run);
}

async function collectGarbage(): Promise<void> {
  collect();
  // Finalizers run as tasks of their own.
  await new Promise((resolve) => setTimeout(resolve, 0));
}

/** Keeps the number of things small, so that each is met often. */
function limitSizes(): void {
  while (attachments.length > 24) close(attachments.shift()!);
  for (const attachment of attachments) {
    if (attachment.views.length > 8) attachment.views = attachment.views.slice(-6);
  }
  if (orphans.length > 12) orphans = orphans.slice(-8);
  const here = moved.filter(({ buffer }) => buffer !== null);
  if (here.length > 16) moved.splice(moved.indexOf(here[0]), 1);
}

// --- The run ---------------------------------------------------------------------------------

async function run(): Promise<void> {
  const entries = Object.entries(operations);
  const sum = entries.reduce((total, [, [weight]]) => total + weight, 0);
  const end = unit === "seconds" ? performance.now() + Number(amountText) * 1000 : Infinity;
  const steps = unit === "steps" ? Number(amountText) : Infinity;
  while (summary.steps < steps && performance.now() < end) {
    let at = random.next() * sum;
    const [name, [, operation]] = entries.find(([, [weight]]) => (at -= weight) < 0) ?? entries[0];
    summary.steps++;
    summary.operations[name] = (summary.operations[name] ?? 0) + 1;
    log(name);
    const pending = operation();
    if (pending !== undefined) await pending;
    limitSizes();
  }
  // Everything once more, then everything away.
  for (const { views } of [...attachments, ...orphans]) views.forEach(checkView);
  for (const attachment of attachments) close(attachment);
  SharedMemoryArray.clearBuffers([...names, ...anonymous]);
  for (const { sma } of attachments) check(!sma.unlink(), () => `${sma.name} was there still`);
  linked.clear();
  attachments = [];
  orphans = [];
  await collectGarbage();
  for (const entry of moved) {
    if (entry.buffer !== null) checkBytes("at the end", new Uint8Array(entry.buffer), entry);
  }
  worker?.terminate();
  // The end of the process is the registers': what they list must be gone then, which fuzz_test.ts looks after.
  for (const { register, names: before } of registers) {
    if (random.chance(0.5)) register[Symbol.dispose]();
    register.push(...before);
  }
  for (const name of names) {
    SharedMemory.create(name, 8).close();
    random.oneOf(registers).register.push(name);
  }
}

if (import.meta.main) {
  try {
    await run();
    console.log(JSON.stringify(summary));
  } catch (error) {
    console.error(`seed ${seed}, step ${summary.steps}:`, error);
    console.error(`the last operations:\n  ${recent.join("\n  ")}`);
    SharedMemoryArray.clearBuffers(names);
    exit(1);
  }
}
