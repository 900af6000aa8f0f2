// What the compiler must know, and what it must refuse. The proof is that this file compiles:
// `equal<A, B>()` takes no argument only if the two types are the same, and a @ts-expect-error that
// finds no error is an error itself. So most test bodies are types alone; they run, without a segment
// or a permission, only to show that what compiles does not throw for another reason.
import {
  type AssignSource,
  createAndRegisterSma,
  type DType,
  type DTypeOf,
  type ElementOf,
  type MemoryLayout,
  NDArray,
  SharedMemory,
  SharedMemoryArray,
  type SharedMemoryDescriptor,
  SharedMemoryRegister,
  shmarrayWrap,
  slice,
  type SliceItem,
  type StorableOf,
  type TypedArrayOf,
  type WrappedParameter,
} from "@shm/array";
import { bytesPerElement, parseDType, typedArrayOf } from "@shm/array/dtype";
import { type NpyArray, type NpySource, readNpy, type ReadNpyOptions } from "@shm/array/npy";

/** `true` if the two types are the same, also in `any`, unions and `readonly`. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true
  : false;

/** Compiles only if the two types are the same; does nothing. */
function equal<A, B>(..._proof: Same<A, B> extends true ? [] : ["these types differ"]): void {}

/** Compiles only if `value` is exactly of type `T`; does nothing. */
function is<T>() {
  return <V>(_value: V, ..._proof: Same<V, T> extends true ? [] : ["it has another type"]) => {};
}

/** The dtype of a view or of an array's description, whatever its rank or shape. */
type DTypeIn<V> = V extends NDArray<infer D, infer _> ? D
  : V extends SharedMemoryArray<infer D, infer _> ? D
  : never;

/** Compiles only if `value` is a view or a description with exactly the dtype `D`; does nothing. */
function of<D extends DType>() {
  return <V>(_value: V, ..._proof: Same<DTypeIn<V>, D> extends true ? [] : ["other dtype"]) => {};
}

/** Code that only the compiler looks at. */
function unrun(_body: () => void): void {}

Deno.test("types: equal() itself tells types apart", () => {
  equal<number, number>();
  // @ts-expect-error: they differ
  equal<number, bigint>();
  // @ts-expect-error: any is not number
  // deno-lint-ignore no-explicit-any
  equal<any, number>();
  // @ts-expect-error: a union is not a part of it
  equal<DType, "float32">();
});

Deno.test("types: DTypeOf is the canonical name, whatever the spelling", () => {
  equal<DTypeOf<"float32">, "float32">();
  equal<DTypeOf<"<f4">, "float32">();
  equal<DTypeOf<"=i8">, "int64">();
  equal<DTypeOf<"u2">, "uint16">();
  equal<DTypeOf<"|b1">, "bool">();
  equal<DTypeOf<"|u1">, "uint8">();
  equal<DTypeOf<Float32ArrayConstructor>, "float32">();
  equal<DTypeOf<Uint8ClampedArrayConstructor>, "uint8c">();
  equal<DTypeOf<BigUint64ArrayConstructor>, "uint64">();
  equal<DTypeOf<Float16ArrayConstructor>, "float16">();
});

Deno.test("types: ElementOf, StorableOf and TypedArrayOf follow the dtype", () => {
  equal<ElementOf<"float32">, number>();
  equal<ElementOf<"int64">, bigint>();
  equal<ElementOf<"uint64">, bigint>();
  equal<ElementOf<"bool">, number>();
  equal<StorableOf<"bool">, number | boolean>();
  equal<StorableOf<"uint8">, number>();
  equal<StorableOf<"int64">, bigint>();
  equal<TypedArrayOf<"int16">, Int16Array<ArrayBufferLike>>();
  equal<TypedArrayOf<"bool">, Uint8Array<ArrayBufferLike>>();
  equal<TypedArrayOf<"float16">, Float16Array<ArrayBufferLike>>();
});

Deno.test("types: create() gives a view of the dtype, by name", () => {
  const sma = new SharedMemoryArray([2, 3], "float32", "types");
  of<"float32">()(sma);
  is<"float32">()(sma.dtype);
  is<readonly number[]>()(sma.shape);
  is<readonly SliceItem[] | null>()(sma.arraySlice);
  of<"float32">()(sma.array!);
  is<SharedMemory | null>()(sma.smh);
  unrun(() => {
    of<"float32">()(sma.create());
    of<"float32">()(sma.load());
    is<number>()(sma.create().get(0, 0));
    is<Float32Array<ArrayBuffer>>()(sma.create().data);
  });
});

Deno.test("types: create() gives a view of the dtype, by NumPy string and by constructor", () => {
  const byString = new SharedMemoryArray(4, "<i8", "types");
  const byConstructor = new SharedMemoryArray(4, Uint8ClampedArray, "types");
  is<"int64">()(byString.dtype);
  is<"uint8c">()(byConstructor.dtype);
  unrun(() => {
    of<"int64">()(byString.create());
    is<bigint>()(byString.create().get(0));
    is<BigInt64Array<ArrayBuffer>>()(byString.create().subarray());
    of<"uint8c">()(byConstructor.load());
    is<Uint8ClampedArray<ArrayBuffer>>()(byConstructor.load().copy());
  });
});

Deno.test("types: a dtype that is known at run time only gives what every dtype has", () => {
  const dtype = "float32" as DType;
  const sma = new SharedMemoryArray(4, dtype, "types");
  is<DType>()(sma.dtype);
  unrun(() => {
    of<DType>()(sma.create());
    is<number | bigint>()(sma.create().get(0));
  });
});

Deno.test("types: a wrong dtype name does not compile", () => {
  unrun(() => {
    // @ts-expect-error: no dtype is called so
    new SharedMemoryArray(4, "float23", "types");
    // @ts-expect-error: this is how C spells it
    new SharedMemoryArray(4, "double", "types");
    // @ts-expect-error: big-endian
    new SharedMemoryArray(4, ">f4", "types");
    // @ts-expect-error: complex
    new SharedMemoryArray(4, "complex64", "types");
    // @ts-expect-error: not a typed array
    new SharedMemoryArray(4, Array, "types");
    // @ts-expect-error: an instance is no constructor
    new SharedMemoryArray(4, new Float32Array(1), "types");
    // @ts-expect-error: no dtype is called so
    createAndRegisterSma(4, "float23", []);
    // @ts-expect-error: no dtype is called so
    parseDType("float23");
    // @ts-expect-error: only the canonical name
    bytesPerElement("<f4");
  });
});

Deno.test("types: the other arguments of the constructor are checked, too", () => {
  unrun(() => {
    // @ts-expect-error: shapes are numbers
    new SharedMemoryArray(["2", "3"], "float32", "types");
    // @ts-expect-error: the name comes third, the slice fourth
    new SharedMemoryArray([2, 3], "float32", [slice(0, 1)]);
    // @ts-expect-error: a slice is a list of items
    new SharedMemoryArray([2, 3], "float32", "types", "0:1");
    // @ts-expect-error: there is no such option
    new SharedMemoryArray([2, 3], "float32", "types").create({ size: 3 });
    // @ts-expect-error: the description cannot be changed, clone() makes another one
    new SharedMemoryArray([2, 3], "float32", "types").name = "other";
    // @ts-expect-error: nor can the shape's lengths
    new SharedMemoryArray([2, 3], "float32", "types").shape[0] = 4;
  });
});

Deno.test("types: array and smh are null before create() and after close()", () => {
  const sma = new SharedMemoryArray(4, "float32", "types");
  unrun(() => {
    // @ts-expect-error: it may be null
    sma.array.get(0);
    // @ts-expect-error: it may be null
    sma.smh.size;
  });
});

Deno.test("types: numbers and bigints do not mix", () => {
  const floats = new NDArray(new Float32Array(4), { shape: [2, 2] });
  const bigs = new NDArray(new BigInt64Array(4), { shape: [2, 2] });
  unrun(() => {
    // @ts-expect-error: a bigint for a number
    floats.set(0, 0, 1n);
    // @ts-expect-error: a number for a bigint
    bigs.set(0, 0, 1);
    // @ts-expect-error: a bigint for a number
    floats.fill(1n);
    // @ts-expect-error: a number for a bigint
    bigs.fill(1);
    // @ts-expect-error: a bigint for a number
    floats.assign([1n, 2n]);
    // @ts-expect-error: a number for a bigint
    bigs.assign([[1, 2], [3, 4]]);
    // Elements of a view are converted, single values are not.
    floats.assign(bigs);
    bigs.assign(floats);
    // @ts-expect-error: an index is a number
    floats.get(0n, 0);
    // @ts-expect-error: a boolean is none of float32's elements
    floats.fill(true);
    // @ts-expect-error: a text is no element
    floats.set(0, 0, "1");
    // @ts-expect-error: what get() gives is a bigint
    const _number: number = bigs.get(0, 0);
  });
  floats.set(0, 0, 1);
  bigs.set(0, 0, 1n);
  bigs.assign(new NDArray(new BigUint64Array(2)));
  floats.assign(new NDArray(new Int8Array(2)));
});

Deno.test("types: bool takes booleans and numbers, and gives numbers", () => {
  const flags = new NDArray(new Uint8Array(2), { dtype: "bool" });
  of<"bool">()(flags);
  flags.set(0, true);
  flags.fill(1);
  flags.assign([true, false]);
  is<number>()(flags.get(0));
  unrun(() => {
    // @ts-expect-error: not even bool takes a bigint
    flags.set(0, 1n);
  });
});

Deno.test("types: NDArray takes its dtype from the typed array, or from the option", () => {
  of<"float64">()(new NDArray(new Float64Array(2)));
  of<"uint8c">()(new NDArray(new Uint8ClampedArray(2), { shape: [1, 2] }));
  of<"uint64">()(new NDArray(new BigUint64Array(2)));
  of<"uint8">()(new NDArray(new Uint8Array(2), { dtype: "|u1" }));
  unrun(() => {
    // @ts-expect-error: an array of numbers is no typed array
    new NDArray([1, 2, 3]);
    // @ts-expect-error: it is called stride, as in npm ndarray, and counts elements
    new NDArray(new Float64Array(2), { strides: [8] });
    // @ts-expect-error: nor is it a DataView
    new NDArray(new DataView(new ArrayBuffer(8)));
  });
});

Deno.test("types: views of a view keep the dtype, and iteration gives elements", () => {
  const view = new NDArray(new BigInt64Array(4), { shape: [2, 2] });
  of<"int64">()(view.slice(0, slice(1)));
  of<"int64">()(view.transpose());
  of<"int64">()(view.reshape(4));
  is<bigint[]>()([...view]);
  of<"int64">()(view.fill(2n));
  unrun(() => {
    // @ts-expect-error: a range is slice(0, 1) or "0:1", not an array
    view.slice([0, 1]);
    // @ts-expect-error: what views hold cannot be replaced
    view.data = new BigInt64Array(4);
  });
});

Deno.test("types: from() takes the dtype from the descriptor, or is told and checks it", () => {
  const descriptor = { shape: [4], dtype: "float32", name: "types" } as const;
  of<"float32">()(SharedMemoryArray.from(descriptor));
  of<"float32">()(SharedMemoryArray.from(descriptor, "<f4"));
  const text = JSON.stringify(descriptor);
  of<"float32">()(SharedMemoryArray.from(JSON.parse(text), "float32"));
  of<"float32">()(SharedMemoryArray.from(JSON.parse(text), Float32Array));
  of<"float32">()(SharedMemoryArray.from(JSON.parse(text) as SharedMemoryDescriptor, "<f4"));
  of<DType>()(SharedMemoryArray.from(JSON.parse(text)));
  of<DType>()(SharedMemoryArray.from(JSON.parse(text) as SharedMemoryDescriptor));
  of<DType>()(SharedMemoryArray.from({ ...descriptor, dtype: JSON.parse(text).dtype }));
  const sma = new SharedMemoryArray(4, "uint16", "types");
  of<"uint16">()(SharedMemoryArray.from(sma));
  of<"uint16">()(SharedMemoryArray.from(sma, "uint16"));
  of<"uint16">()(SharedMemoryArray.from(structuredClone({ ...sma })));
  unrun(() => {
    // @ts-expect-error: the name is missing
    SharedMemoryArray.from({ shape: [4], dtype: "float32" });
    // @ts-expect-error: no dtype is called so
    SharedMemoryArray.from(JSON.parse(text), "float23");
    // @ts-expect-error: a type argument would be a cast that nobody checks
    SharedMemoryArray.from<"float32">(JSON.parse(text));
    // @ts-expect-error: the same in another spelling
    SharedMemoryArray.from<"<f8">(JSON.parse(text));
    // A view says what it is of.
    of<"int16">()(SharedMemoryArray.from(new NDArray(new Int16Array(4))));
  });
});

Deno.test("types: an instance is a descriptor, as JSON and postMessage carry it", () => {
  const sma = new SharedMemoryArray(4, "uint16", "types");
  const descriptor: SharedMemoryDescriptor<"uint16"> = sma;
  is<"uint16">()(descriptor.dtype);
});

Deno.test("types: clone() keeps the dtype, or takes the overriding one", () => {
  const sma = new SharedMemoryArray(4, "float32", "types");
  of<"float32">()(SharedMemoryArray.clone(sma));
  of<"float32">()(SharedMemoryArray.clone(sma, { name: "other" }));
  of<"float32">()(SharedMemoryArray.clone(sma, { arraySlice: ["::2"] }));
  of<"uint32">()(SharedMemoryArray.clone(sma, { dtype: "uint32" }));
  of<"int64">()(SharedMemoryArray.clone(sma, { dtype: "<i8" }));
  unrun(() => {
    // @ts-expect-error: no dtype is called so
    SharedMemoryArray.clone(sma, { dtype: "float23" });
    // @ts-expect-error: there is no such part
    SharedMemoryArray.clone(sma, { length: 3 });
  });
});

Deno.test("types: createAndRegisterSma() gives the dtype, and takes anything with push()", () => {
  unrun(() => {
    using sma = createAndRegisterSma([4], "int64", new SharedMemoryRegister());
    of<"int64">()(sma);
    of<"uint8">()(createAndRegisterSma(4, Uint8Array, [] as string[]));
    // @ts-expect-error: a list of numbers takes no names
    createAndRegisterSma(4, "int64", [] as number[]);
  });
});

Deno.test("types: readNpy() takes the dtype from its options", () => {
  unrun(() => {
    const { sma, view } = readNpy("a.npy", [], { dtype: "int64", name: "a" });
    is<SharedMemoryArray<"int64">>()(sma);
    is<NDArray<"int64">>()(view);
    is<bigint>()(view.get(0, 0));
    is<NpyArray<"float32">>()(readNpy("a.npy", [], { dtype: "<f4", complex: "pairs" }));
    is<NpyArray<"uint8c">>()(readNpy("a.npy", [], { dtype: Uint8ClampedArray }));
    is<NpyArray>()(readNpy("a.npy", []));
    is<NpyArray>()(readNpy("a.npy", [], {}));
    is<NpyArray>()(readNpy("a.npy", new SharedMemoryRegister(), { mode: 0o640, anonymous: true }));
    is<NpyArray>()(readNpy(new URL("file:///a.npy"), [], {} as ReadNpyOptions));
    is<NpyArray<"int8" | "uint8">>()(readNpy("a", [], { dtype: "int8" as "int8" | "uint8" }));
    for (
      const source of [
        new Uint8Array(1),
        new ArrayBuffer(1),
        new DataView(new ArrayBuffer(1)),
        new SharedArrayBuffer(1),
        new Uint8Array(1) as Uint8Array,
      ] satisfies NpySource[]
    ) readNpy(source, []);
    // @ts-expect-error: there is no such dtype
    readNpy("a.npy", [], { dtype: "float23" });
    // @ts-expect-error: there is no such way
    readNpy("a.npy", [], { complex: "interleaved" });
    // @ts-expect-error: a Response is no source
    readNpy(new Response(), []);
    // @ts-expect-error: a view is no source
    readNpy(view, []);
  });
});

Deno.test("types: shmarrayWrap() takes descriptions where the function takes views", () => {
  const sum = shmarrayWrap((view: NDArray<"int64">, factor: number): bigint =>
    view.get(0) * BigInt(factor)
  );
  equal<
    Parameters<typeof sum>,
    [
      view: NDArray<"int64"> | SharedMemoryArray<"int64"> | SharedMemoryDescriptor<"int64">,
      factor: number,
    ]
  >();
  equal<ReturnType<typeof sum>, bigint>();
  unrun(() => {
    sum(new SharedMemoryArray(1, "int64", "types"), 2);
    sum({ shape: 1, dtype: "int64", name: "types", layout: { byteOffset: 8 } }, 2);
    // @ts-expect-error: a descriptor of another dtype
    sum({ shape: 1, dtype: "int32", name: "types" }, 2);
    // @ts-expect-error: an array of another dtype
    sum(new SharedMemoryArray(1, "int32", "types"), 2);
    // @ts-expect-error: the second argument is a number
    sum(new SharedMemoryArray(1, "int64", "types"), "2");
    // @ts-expect-error: nor is it an array
    sum(new SharedMemoryArray(1, "int64", "types"), new SharedMemoryArray(1, "int64", "types"));
  });
});

Deno.test("types: shmarrayWrap() of a view of any dtype takes any spelling", () => {
  const size = shmarrayWrap((view: NDArray): number => view.size);
  unrun(() => {
    const sent: SharedMemoryDescriptor = JSON.parse("{}");
    size(sent);
    size({ shape: 1, dtype: "<f4", name: "types" });
    // @ts-expect-error: no dtype
    size({ shape: 1, dtype: "text", name: "types" });
  });
});

Deno.test("types: shmarrayWrap() looks one level into arrays", () => {
  const sum = shmarrayWrap((views: NDArray<"int8">[], _pair: [NDArray<"bool">, number]) =>
    views.length
  );
  unrun(() => {
    const sma = new SharedMemoryArray(1, "int8", "types");
    const pair = [new SharedMemoryArray(1, "bool", "types"), 1] as const;
    sum([sma, { shape: 1, dtype: "int8", name: "types" }, sma.create()], [pair[0], 1]);
    // @ts-expect-error: an array of another dtype
    sum([pair[0]], [pair[0], 1]);
    // @ts-expect-error: an array in the place of the number
    sum([sma], [pair[0], pair[0]]);
  });
});

Deno.test("types: a layout, options of load(), and what from() takes", () => {
  unrun(() => {
    const layout: MemoryLayout = { byteOffset: 8, stride: [4, 1] };
    const sma = new SharedMemoryArray([2, 3], "uint8", "types", null, layout);
    is<MemoryLayout | undefined>()(sma.layout);
    sma.load({ access: "copy-on-write", timeout: 1000 });
    // @ts-expect-error: there is no such access
    sma.load({ access: "read-only" });
    // @ts-expect-error: NumPy's name for another thing
    new SharedMemoryArray([2, 3], "uint8", "types", null, { strides: [4, 1] });
    // @ts-expect-error: a layout is frozen
    layout.byteOffset = 4;
    of<"uint8">()(SharedMemoryArray.clone(sma, { layout: null }));
    of<"uint8">()(SharedMemoryArray.from({ shape: 1, dtype: "u1", name: "types", layout }));
    of<"uint8">()(SharedMemoryArray.from(sma.create().slice(0)));
    of<"float32">()(SharedMemoryArray.createAnonymous([2, 3], Float32Array, { mode: 0o640 }));
    // The rank is known, as it is after create().
    // @ts-expect-error: an index too many
    SharedMemoryArray.createAnonymous([2, 3], "int8").create().get(0, 0, 0);
    createAndRegisterSma(1, "int8", [] as string[], "types", { anonymous: true, reserve: false });
    // @ts-expect-error: a name is a string
    SharedMemory.open("types", { access: 1 });
  });
});

Deno.test("types: shmarrayWrap() looks one level into objects, and keeps promises", () => {
  interface Options {
    source: NDArray<"float32">;
    factor: number;
  }
  equal<
    WrappedParameter<Options>,
    | Options
    | {
      source: NDArray<"float32"> | SharedMemoryArray<"float32"> | SharedMemoryDescriptor<"float32">;
      factor: number;
    }
  >();
  equal<WrappedParameter<number[]>, number[]>();
  equal<WrappedParameter<() => void>, () => void>();
  equal<WrappedParameter<string>, string>();
  const scale = shmarrayWrap((_options: Options) => Promise.resolve("done"));
  equal<ReturnType<typeof scale>, Promise<string>>();
  unrun(() => {
    const source = new SharedMemoryArray(1, "float32", "types");
    scale({ source, factor: 2 });
    // @ts-expect-error: an array of another dtype
    scale({ source: new SharedMemoryArray(1, "int8", "types"), factor: 2 });
    // @ts-expect-error: a part is missing
    scale({ source });
  });
});

Deno.test("types: assign() takes a value, nested arrays, typed arrays and views", () => {
  const view = new NDArray(new Float32Array(4), { shape: [2, 2] });
  view.assign(1).assign([1, 2]).assign([[1, 2], [3, 4]]).assign(Float64Array.of(1, 2));
  view.assign([Float32Array.of(1, 2), [3, 4]]).assign(new NDArray(new Uint8Array(2)));
  const _source: AssignSource<"float32"> = view;
  unrun(() => {
    // @ts-expect-error: no text
    view.assign("1");
    // @ts-expect-error: nothing at all
    view.assign(null);
  });
});

Deno.test("types: typedArrayOf() and parseDType() give what the name says", () => {
  is<Int16Array<ArrayBufferLike>>()(new (typedArrayOf("int16"))(2));
  is<"float64">()(parseDType("<f8"));
  is<"int32">()(parseDType(Int32Array));
});

Deno.test("types: the number of indices is checked where the shape is a literal", () => {
  unrun(() => {
    const view = new SharedMemoryArray([2, 3], "float32", "n").create();
    view.get(0, 1);
    // @ts-expect-error: one index too few
    view.get(0);
    // @ts-expect-error: one index too many
    view.get(0, 1, 2);
    view.set(0, 1, 5);
    // @ts-expect-error: an index is missing
    view.set(0, 5);
    // @ts-expect-error: the value is missing
    view.index(0);
    // @ts-expect-error: a turned view has as many axes
    view.transpose().get(0);
    const made = new NDArray(new Float64Array(6), { shape: [2, 3] });
    // @ts-expect-error: one index too few
    made.get(0);
    const scalar = new SharedMemoryArray([], "uint8", "n").create();
    scalar.get();
    // @ts-expect-error: a 0-d array has no index
    scalar.get(0);
    const line = new NDArray(new Int8Array(4));
    // @ts-expect-error: one axis
    line.get(0, 0);
  });
});

Deno.test("types: any number of indices is taken where the rank is not known", () => {
  unrun(() => {
    const index: number[] = [0, 1];
    const shape: number[] = [2, 3];
    new SharedMemoryArray(shape, "int64", "n").create().get(...index);
    new NDArray(new Float64Array(6), { shape }).set(...index, 1);
    const view = new SharedMemoryArray([2, 3], "float32", "n").create();
    view.slice(0).get(...index);
    view.reshape(6).get(...index);
    // Views of known and unknown rank stand for each other, and so do descriptions.
    const open: NDArray<"float32"> = view;
    const known: NDArray<"float32", 2> = open;
    open.get(...index);
    known.get(0, 1);
    const description: SharedMemoryArray<"float32"> = new SharedMemoryArray([2, 3], "float32", "n");
    description.load().get(...index);
  });
});

Deno.test("types: .array, load() and clone() know the rank, as create() does", () => {
  const sma = new SharedMemoryArray([2, 3], "float32", "types");
  const part = new SharedMemoryArray([2, 3], "float32", "types", [0]);
  is<NDArray<"float32", 2> | null>()(sma.array);
  is<NDArray<"float32"> | null>()(part.array);
  is<NDArray<"float32", 2> | null>()(SharedMemoryArray.clone(sma).array);
  is<NDArray<"int8", 2> | null>()(SharedMemoryArray.clone(sma, { dtype: "int8" }).array);
  is<NDArray<"float32", 1> | null>()(SharedMemoryArray.clone(sma, { shape: 6 }).array);
  is<NDArray<"float32"> | null>()(SharedMemoryArray.clone(sma, { arraySlice: [0] }).array);
  is<NDArray<"float32", 2> | null>()(SharedMemoryArray.clone(part, { arraySlice: null }).array);
  is<NDArray<"float32"> | null>()(SharedMemoryArray.clone(part).array);
  unrun(() => {
    is<NDArray<"float32", 2>>()(sma.load());
    is<NDArray<"float32", 2>>()(part.create());
    is<number>()(part.load().get(0));
    // @ts-expect-error: one index too few
    sma.array!.get(0);
  });
  // Wherever an array of any rank is asked for, these can be given.
  const all: SharedMemoryArray<"float32">[] = [sma, part];
  const any: SharedMemoryArray[] = all;
  void any;
});

Deno.test("types: subarray() of a shared array is a body, a blob part, and what files take", () => {
  const sma = new SharedMemoryArray([2, 3], "uint8", "types");
  unrun(() => {
    const view: NDArray<"uint8", 2> = sma.create();
    new Response(view.subarray());
    new Blob([view.subarray(), sma.array!.slice(0).subarray(), view.T.copy()]);
    crypto.subtle.digest("SHA-256", view.subarray());
    fetch("https://example.com/", { method: "PUT", body: view.reshape(6).subarray() });
    Deno.writeFile("/tmp/types", view.slice(0).subarray());
    new ImageData(new SharedMemoryArray([1, 1, 4], "uint8c", "types").load().subarray(), 1);
  });
});

Deno.test("types: a view knows over which kind of buffer it is", () => {
  const shared = new NDArray(new Int32Array(new SharedArrayBuffer(8)));
  is<Int32Array<SharedArrayBuffer>>()(shared.subarray());
  is<Int32Array<SharedArrayBuffer>>()(shared.slice("::1").data);
  is<Int32Array<ArrayBuffer>>()(shared.copy());
  is<Float64Array<ArrayBuffer>>()(shared.astype("<f8").data);
  is<Int32Array<ArrayBuffer>>()(new NDArray(new Int32Array(2)).subarray());
  is<NDArray<"int32", 1>>()(new NDArray(new Int32Array(2) as Int32Array));
  shared.assign(new NDArray(new Int32Array(2)));
  new NDArray(new Int32Array(2)).assign(shared);
  unrun(() => {
    // @ts-expect-error: a response does not take what threads share
    new Response(shared.subarray());
    // @ts-expect-error: nor is it a view over an ArrayBuffer
    const _view: NDArray<"int32"> = shared;
  });
});

Deno.test("types: astype(), T, rows() and valueOf() follow dtype and rank", () => {
  const view = new NDArray(new Float32Array(6), { shape: [2, 3] });
  is<NDArray<"int64", 2>>()(view.astype("<i8"));
  is<NDArray<"uint8c", 2>>()(view.astype(Uint8ClampedArray));
  is<NDArray<"float32", 2>>()(view.T);
  for (const row of view.rows()) is<NDArray<"float32", 1>>()(row);
  for (const row of new NDArray(new Int8Array(2)).rows()) is<NDArray<"int8", 0>>()(row);
  is<number>()(view.nbytes + view.itemsize);
  unrun(() => {
    // @ts-expect-error: no dtype is called so
    view.astype("float23");
  });
});

Deno.test("types: assign() takes views of any dtype, booleans, and what is like npm ndarray", () => {
  const floats = new NDArray(new Float32Array(2));
  const bigs = new NDArray(new BigInt64Array(2));
  floats.assign(bigs).assign([true, false]).assign(BigInt64Array.of(1n, 2n));
  bigs.assign(floats).assign([true, 1n]).assign({ data: Int8Array.of(1), shape: [1], stride: [1] });
  new NDArray(new Int8Array(4), { shape: [2, 2] }).assign([floats, bigs]);
});

Deno.test("types: a wrapped function shows that it takes arrays", () => {
  const wrapped = shmarrayWrap((_view: NDArray<"int8", 2>, _count: number) => 1n);
  equal<
    Parameters<typeof wrapped>[0],
    WrappedParameter<NDArray<"int8", 2>>
  >();
  const part = new SharedMemoryArray([2, 2], "int8", "types", ["0:1"]);
  unrun(() => {
    is<bigint>()(wrapped(part, 2));
    is<bigint>()(wrapped(part.load(), 2));
  });
});
