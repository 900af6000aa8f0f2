import { assert, assertEquals } from "@std/assert";
import { type DType, dtypes, typedArrayOf } from "../../src/dtype.ts";
import { describeArray, formatArray, type Printable } from "../../src/ndarray/format.ts";
import { isSince, type Python } from "../helpers/find_python.ts";
import { eachNumPyTest, runPython } from "../helpers/python.ts";

type Elements = ArrayLike<number> | ArrayLike<bigint>;

/** A C-ordered array over plain elements. */
function printable(dtype: DType, shape: readonly number[], elements: Elements): Printable {
  const element = (index: readonly number[]): number | bigint =>
    elements[index.reduce((position, at, axis) => position * shape[axis] + at, 0)];
  return { dtype, shape, element };
}

/** The elements as a typed array holds them: a float32 of 0.1 is not 0.1. */
function stored(dtype: DType, values: readonly (number | bigint)[]): Elements {
  const array = new (typedArrayOf(dtype))(values.length);
  values.forEach((value, at) => array[at] = value);
  return array;
}

function lines(...text: string[]): string {
  return text.join("\n");
}

/** The integers from 0 to `length` - 1. */
function count(length: number): number[] {
  return Array.from({ length }, (_, at) => at);
}

interface Example {
  criterion: string;
  dtype: DType;
  shape: number[];
  values: (number | bigint)[];
  str: string;
  repr: string;
}

// What NumPy 2 prints, with the dtype always shown.
const examples: Example[] = [
  {
    criterion: "0-d float64",
    dtype: "float64",
    shape: [],
    values: [1.5],
    str: "1.5",
    repr: "NDArray(1.5, dtype=float64)",
  },
  {
    criterion: "0-d float32 in full precision",
    dtype: "float32",
    shape: [],
    values: [0.1],
    str: "0.1",
    repr: "NDArray(0.1, dtype=float32)",
  },
  {
    criterion: "0-d whole float",
    dtype: "float64",
    shape: [],
    values: [3],
    str: "3.0",
    repr: "NDArray(3., dtype=float64)",
  },
  {
    criterion: "0-d large float64",
    dtype: "float64",
    shape: [],
    values: [1e+16],
    str: "1e+16",
    repr: "NDArray(1.e+16, dtype=float64)",
  },
  {
    criterion: "0-d float64 just below the exponent",
    dtype: "float64",
    shape: [],
    values: [1000000000000000],
    str: "1000000000000000.0",
    repr: "NDArray(1.e+15, dtype=float64)",
  },
  {
    criterion: "0-d small float64",
    dtype: "float64",
    shape: [],
    values: [1.234e-05],
    str: "1.234e-05",
    repr: "NDArray(1.234e-05, dtype=float64)",
  },
  {
    criterion: "0-d float32 just below 1e-4",
    dtype: "float32",
    shape: [],
    values: [0.0001],
    str: "1e-04",
    repr: "NDArray(0.0001, dtype=float32)",
  },
  {
    criterion: "0-d float64 of 17 digits",
    dtype: "float64",
    shape: [],
    values: [0.30000000000000004],
    str: "0.30000000000000004",
    repr: "NDArray(0.3, dtype=float64)",
  },
  {
    criterion: "0-d negative zero",
    dtype: "float64",
    shape: [],
    values: [-0],
    str: "-0.0",
    repr: "NDArray(-0., dtype=float64)",
  },
  {
    criterion: "0-d nan",
    dtype: "float64",
    shape: [],
    values: [NaN],
    str: "nan",
    repr: "NDArray(nan, dtype=float64)",
  },
  {
    criterion: "0-d minus infinity",
    dtype: "float32",
    shape: [],
    values: [-Infinity],
    str: "-inf",
    repr: "NDArray(-inf, dtype=float32)",
  },
  {
    criterion: "0-d float16",
    dtype: "float16",
    shape: [],
    values: [0.1],
    str: "0.1",
    repr: "NDArray(0.1, dtype=float16)",
  },
  {
    criterion: "0-d int64 at its limit",
    dtype: "int64",
    shape: [],
    values: [-9223372036854775808n],
    str: "-9223372036854775808",
    repr: "NDArray(-9223372036854775808, dtype=int64)",
  },
  {
    criterion: "0-d bool",
    dtype: "bool",
    shape: [],
    values: [1],
    str: "True",
    repr: "NDArray(True, dtype=bool)",
  },
  {
    criterion: "one element",
    dtype: "float64",
    shape: [1],
    values: [1],
    str: "[1.]",
    repr: "NDArray([1.], dtype=float64)",
  },
  {
    criterion: "whole floats",
    dtype: "float32",
    shape: [2, 2],
    values: [1, 2, 3, 4],
    str: lines("[[1. 2.]", " [3. 4.]]"),
    repr: lines("NDArray([[1., 2.],", "         [3., 4.]], dtype=float32)"),
  },
  {
    criterion: "mixed fractions",
    dtype: "float64",
    shape: [4],
    values: [1, 2.5, -3.125, 100],
    str: "[  1.      2.5    -3.125 100.   ]",
    repr: "NDArray([  1.   ,   2.5  ,  -3.125, 100.   ], dtype=float64)",
  },
  {
    criterion: "cut to eight digits",
    dtype: "float64",
    shape: [3],
    values: [0.3333333333333333, 0.6666666666666666, 1],
    str: "[0.33333333 0.66666667 1.        ]",
    repr: "NDArray([0.33333333, 0.66666667, 1.        ], dtype=float64)",
  },
  {
    criterion: "a tie in decimal that is none in binary",
    dtype: "float64",
    shape: [2],
    values: [0.123456785, 0.5],
    str: "[0.12345678 0.5       ]",
    repr: "NDArray([0.12345678, 0.5       ], dtype=float64)",
  },
  {
    criterion: "a true tie to even",
    dtype: "float64",
    shape: [2],
    values: [1.001953125, 1.005859375],
    str: "[1.00195312 1.00585938]",
    repr: "NDArray([1.00195312, 1.00585938], dtype=float64)",
  },
  {
    criterion: "rounding up to a whole number",
    dtype: "float64",
    shape: [2],
    values: [0.999999999, 1.5],
    str: "[1.  1.5]",
    repr: "NDArray([1. , 1.5], dtype=float64)",
  },
  {
    criterion: "float64 needs an exponent above 1e8",
    dtype: "float64",
    shape: [2],
    values: [100000000, 1],
    str: "[1.e+08 1.e+00]",
    repr: "NDArray([1.e+08, 1.e+00], dtype=float64)",
  },
  {
    criterion: "smallest positional float64",
    dtype: "float64",
    shape: [2],
    values: [0.0001, 0.05],
    str: "[0.0001 0.05  ]",
    repr: "NDArray([0.0001, 0.05  ], dtype=float64)",
  },
  {
    criterion: "float64 below 1e-4",
    dtype: "float64",
    shape: [2],
    values: [9.9e-05, 0],
    str: "[9.9e-05 0.0e+00]",
    repr: "NDArray([9.9e-05, 0.0e+00], dtype=float64)",
  },
  {
    criterion: "ratio of exactly 1000",
    dtype: "float64",
    shape: [2],
    values: [1000, 1],
    str: "[1000.    1.]",
    repr: "NDArray([1000.,    1.], dtype=float64)",
  },
  {
    criterion: "ratio above 1000",
    dtype: "float64",
    shape: [2],
    values: [1000.5, 1],
    str: "[1.0005e+03 1.0000e+00]",
    repr: "NDArray([1.0005e+03, 1.0000e+00], dtype=float64)",
  },
  {
    criterion: "float32 digits beyond the shortest",
    dtype: "float32",
    shape: [2],
    values: [0.1, 1.2345678e-09],
    str: "[1.0000000e-01 1.2345678e-09]",
    repr: "NDArray([1.0000000e-01, 1.2345678e-09], dtype=float32)",
  },
  {
    criterion: "float16 whole digits are exact",
    dtype: "float16",
    shape: [2],
    values: [65504, 1234],
    str: "[6.550e+04 1.234e+03]",
    repr: "NDArray([6.550e+04, 1.234e+03], dtype=float16)",
  },
  {
    criterion: "float16 below 1000",
    dtype: "float16",
    shape: [2],
    values: [999.5, 1],
    str: "[999.5   1. ]",
    repr: "NDArray([999.5,   1. ], dtype=float16)",
  },
  {
    criterion: "float32 needs an exponent from 1e6 on",
    dtype: "float32",
    shape: [2],
    values: [1e6, 1e5],
    str: "[1.e+06 1.e+05]",
    repr: "NDArray([1.e+06, 1.e+05], dtype=float32)",
  },
  {
    criterion: "float32 below 1e6",
    dtype: "float32",
    shape: [2],
    values: [999999, 100000],
    str: "[999999. 100000.]",
    repr: "NDArray([999999., 100000.], dtype=float32)",
  },
  {
    criterion: "0-d float32 from 1e6 on",
    dtype: "float32",
    shape: [],
    values: [1e6],
    str: "1e+06",
    repr: "NDArray(1.e+06, dtype=float32)",
  },
  {
    criterion: "0-d float16 from 1e3 on",
    dtype: "float16",
    shape: [],
    values: [65504],
    str: "6.55e+04",
    repr: "NDArray(6.55e+04, dtype=float16)",
  },
  {
    criterion: "float16 subnormal",
    dtype: "float16",
    shape: [2],
    values: [6e-08, 1],
    str: "[6.e-08 1.e+00]",
    repr: "NDArray([6.e-08, 1.e+00], dtype=float16)",
  },
  {
    criterion: "three exponent digits",
    dtype: "float64",
    shape: [3],
    values: [1e-300, 1, -1e+300],
    str: "[ 1.e-300  1.e+000 -1.e+300]",
    repr: "NDArray([ 1.e-300,  1.e+000, -1.e+300], dtype=float64)",
  },
  {
    criterion: "float64 extremes",
    dtype: "float64",
    shape: [2],
    values: [5e-324, 1.7976931348623157e+308],
    str: "[4.94065646e-324 1.79769313e+308]",
    repr: "NDArray([4.94065646e-324, 1.79769313e+308], dtype=float64)",
  },
  {
    criterion: "nan and infinities",
    dtype: "float64",
    shape: [4],
    values: [NaN, Infinity, -Infinity, 1],
    str: "[ nan  inf -inf   1.]",
    repr: "NDArray([ nan,  inf, -inf,   1.], dtype=float64)",
  },
  {
    criterion: "only nan",
    dtype: "float32",
    shape: [2],
    values: [NaN, NaN],
    str: "[nan nan]",
    repr: "NDArray([nan, nan], dtype=float32)",
  },
  {
    criterion: "nan beside exponents",
    dtype: "float64",
    shape: [2],
    values: [NaN, 1e-10],
    str: "[   nan 1.e-10]",
    repr: "NDArray([   nan, 1.e-10], dtype=float64)",
  },
  {
    criterion: "minus infinity alone",
    dtype: "float64",
    shape: [1],
    values: [-Infinity],
    str: "[-inf]",
    repr: "NDArray([-inf], dtype=float64)",
  },
  {
    criterion: "negative zeros",
    dtype: "float64",
    shape: [3],
    values: [-0, 0, 1.5],
    str: "[-0.   0.   1.5]",
    repr: "NDArray([-0. ,  0. ,  1.5], dtype=float64)",
  },
  {
    criterion: "int8 limits",
    dtype: "int8",
    shape: [3],
    values: [-128, 127, 0],
    str: "[-128  127    0]",
    repr: "NDArray([-128,  127,    0], dtype=int8)",
  },
  {
    criterion: "uint8",
    dtype: "uint8",
    shape: [3],
    values: [0, 255, 7],
    str: "[  0 255   7]",
    repr: "NDArray([  0, 255,   7], dtype=uint8)",
  },
  {
    criterion: "int16 limits",
    dtype: "int16",
    shape: [2],
    values: [-32768, 32767],
    str: "[-32768  32767]",
    repr: "NDArray([-32768,  32767], dtype=int16)",
  },
  {
    criterion: "uint16",
    dtype: "uint16",
    shape: [2, 1],
    values: [65535, 1],
    str: lines("[[65535]", " [    1]]"),
    repr: lines("NDArray([[65535],", "         [    1]], dtype=uint16)"),
  },
  {
    criterion: "int32 limits",
    dtype: "int32",
    shape: [2],
    values: [-2147483648, 2147483647],
    str: "[-2147483648  2147483647]",
    repr: "NDArray([-2147483648,  2147483647], dtype=int32)",
  },
  {
    criterion: "uint32",
    dtype: "uint32",
    shape: [1, 1, 1],
    values: [4294967295],
    str: "[[[4294967295]]]",
    repr: "NDArray([[[4294967295]]], dtype=uint32)",
  },
  {
    criterion: "int64 limits",
    dtype: "int64",
    shape: [2],
    values: [-9223372036854775808n, 9223372036854775807n],
    str: "[-9223372036854775808  9223372036854775807]",
    repr: "NDArray([-9223372036854775808,  9223372036854775807], dtype=int64)",
  },
  {
    criterion: "uint64 limits",
    dtype: "uint64",
    shape: [2],
    values: [0n, 18446744073709551615n],
    str: "[                   0 18446744073709551615]",
    repr: "NDArray([                   0, 18446744073709551615], dtype=uint64)",
  },
  {
    criterion: "bools",
    dtype: "bool",
    shape: [2, 2],
    values: [1, 0, 0, 1],
    str: lines("[[ True False]", " [False  True]]"),
    repr: lines("NDArray([[ True, False],", "         [False,  True]], dtype=bool)"),
  },
  {
    criterion: "only true",
    dtype: "bool",
    shape: [2],
    values: [1, 1],
    str: "[ True  True]",
    repr: "NDArray([ True,  True], dtype=bool)",
  },
  {
    criterion: "empty",
    dtype: "float32",
    shape: [0],
    values: [],
    str: "[]",
    repr: "NDArray([], dtype=float32)",
  },
  {
    criterion: "empty, two axes",
    dtype: "float32",
    shape: [2, 0],
    values: [],
    str: "[]",
    repr: "NDArray([], shape=(2, 0), dtype=float32)",
  },
  {
    criterion: "empty, three axes",
    dtype: "bool",
    shape: [0, 3, 1],
    values: [],
    str: "[]",
    repr: "NDArray([], shape=(0, 3, 1), dtype=bool)",
  },
  {
    criterion: "three axes",
    dtype: "int16",
    shape: [2, 2, 2],
    values: [0, 1, 2, 3, 4, 5, 6, 7],
    str: lines("[[[0 1]", "  [2 3]]", "", " [[4 5]", "  [6 7]]]"),
    repr: lines(
      "NDArray([[[0, 1],",
      "          [2, 3]],",
      "",
      "         [[4, 5],",
      "          [6, 7]]], dtype=int16)",
    ),
  },
  {
    criterion: "four axes",
    dtype: "uint8",
    shape: [2, 1, 2, 1],
    values: [0, 1, 2, 3],
    str: lines("[[[[0]", "   [1]]]", "", "", " [[[2]", "   [3]]]]"),
    repr: lines(
      "NDArray([[[[0],",
      "           [1]]],",
      "",
      "",
      "         [[[2],",
      "           [3]]]], dtype=uint8)",
    ),
  },
  {
    criterion: "wrapped ints",
    dtype: "int64",
    shape: [40],
    values: count(40).map(BigInt),
    str: lines(
      "[ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23",
      " 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39]",
    ),
    repr: lines(
      "NDArray([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15,",
      "         16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,",
      "         32, 33, 34, 35, 36, 37, 38, 39], dtype=int64)",
    ),
  },
  {
    criterion: "wrapped floats",
    dtype: "float64",
    shape: [12],
    values: count(12).map((at) => at / 7),
    str: lines(
      "[0.         0.14285714 0.28571429 0.42857143 0.57142857 0.71428571",
      " 0.85714286 1.         1.14285714 1.28571429 1.42857143 1.57142857]",
    ),
    repr: lines(
      "NDArray([0.        , 0.14285714, 0.28571429, 0.42857143, 0.57142857,",
      "         0.71428571, 0.85714286, 1.        , 1.14285714, 1.28571429,",
      "         1.42857143, 1.57142857], dtype=float64)",
    ),
  },
  {
    criterion: "wrapped rows",
    dtype: "float32",
    shape: [2, 10],
    values: count(20).map((at) => at / 8),
    str: lines(
      "[[0.    0.125 0.25  0.375 0.5   0.625 0.75  0.875 1.    1.125]",
      " [1.25  1.375 1.5   1.625 1.75  1.875 2.    2.125 2.25  2.375]]",
    ),
    repr: lines(
      "NDArray([[0.   , 0.125, 0.25 , 0.375, 0.5  , 0.625, 0.75 , 0.875, 1.   ,",
      "          1.125],",
      "         [1.25 , 1.375, 1.5  , 1.625, 1.75 , 1.875, 2.   , 2.125, 2.25 ,",
      "          2.375]], dtype=float32)",
    ),
  },
  {
    criterion: "trailing blanks of a wrapped line",
    dtype: "float64",
    shape: [20],
    values: count(20).map((at) => at || 0.5),
    str: lines(
      "[ 0.5  1.   2.   3.   4.   5.   6.   7.   8.   9.  10.  11.  12.  13.",
      " 14.  15.  16.  17.  18.  19. ]",
    ),
    repr: lines(
      "NDArray([ 0.5,  1. ,  2. ,  3. ,  4. ,  5. ,  6. ,  7. ,  8. ,  9. , 10. ,",
      "         11. , 12. , 13. , 14. , 15. , 16. , 17. , 18. , 19. ],",
      "        dtype=float64)",
    ),
  },
  {
    criterion: "summary of one axis",
    dtype: "int32",
    shape: [1001],
    values: count(1001),
    str: "[   0    1    2 ...  998  999 1000]",
    repr: lines(
      "NDArray([   0,    1,    2, ...,  998,  999, 1000],",
      "        shape=(1001,), dtype=int32)",
    ),
  },
  {
    criterion: "summary of two axes",
    dtype: "int32",
    shape: [40, 50],
    values: count(2000),
    str: lines(
      "[[   0    1    2 ...   47   48   49]",
      " [  50   51   52 ...   97   98   99]",
      " [ 100  101  102 ...  147  148  149]",
      " ...",
      " [1850 1851 1852 ... 1897 1898 1899]",
      " [1900 1901 1902 ... 1947 1948 1949]",
      " [1950 1951 1952 ... 1997 1998 1999]]",
    ),
    repr: lines(
      "NDArray([[   0,    1,    2, ...,   47,   48,   49],",
      "         [  50,   51,   52, ...,   97,   98,   99],",
      "         [ 100,  101,  102, ...,  147,  148,  149],",
      "         ...,",
      "         [1850, 1851, 1852, ..., 1897, 1898, 1899],",
      "         [1900, 1901, 1902, ..., 1947, 1948, 1949],",
      "         [1950, 1951, 1952, ..., 1997, 1998, 1999]],",
      "        shape=(40, 50), dtype=int32)",
    ),
  },
  {
    criterion: "summary of short and long axes",
    dtype: "int32",
    shape: [2, 600],
    values: count(1200),
    str: lines("[[   0    1    2 ...  597  598  599]", " [ 600  601  602 ... 1197 1198 1199]]"),
    repr: lines(
      "NDArray([[   0,    1,    2, ...,  597,  598,  599],",
      "         [ 600,  601,  602, ..., 1197, 1198, 1199]],",
      "        shape=(2, 600), dtype=int32)",
    ),
  },
  {
    criterion: "ratio that float16 rounds to 1000",
    dtype: "float16",
    shape: [2],
    values: [10.09375, 0.01009368896484375],
    str: "[10.09     0.01009]",
    repr: "NDArray([10.09   ,  0.01009], dtype=float16)",
  },
  {
    criterion: "ratio that float16 does not round to 1000",
    dtype: "float16",
    shape: [2],
    values: [10.203125, 0.01020050048828125],
    str: "[1.02e+01 1.02e-02]",
    repr: "NDArray([1.02e+01, 1.02e-02], dtype=float16)",
  },
  {
    criterion: "no exponent below 1e8",
    dtype: "float64",
    shape: [2],
    values: [99999999.5, 1000000],
    str: "[99999999.5  1000000. ]",
    repr: "NDArray([99999999.5,  1000000. ], dtype=float64)",
  },
  {
    criterion: "carry into the exponent",
    dtype: "float64",
    shape: [2],
    values: [9.9999999999e-06, 1],
    str: "[1.e-05 1.e+00]",
    repr: "NDArray([1.e-05, 1.e+00], dtype=float64)",
  },
  {
    criterion: "1e23, whose digits round up",
    dtype: "float64",
    shape: [2],
    values: [1e+23, 1],
    str: "[1.e+23 1.e+00]",
    repr: "NDArray([1.e+23, 1.e+00], dtype=float64)",
  },
  {
    criterion: "summary of three axes",
    dtype: "uint8",
    shape: [2, 1, 600],
    values: count(1200).map((at) => at % 256),
    str: lines("[[[  0   1   2 ...  85  86  87]]", "", " [[ 88  89  90 ... 173 174 175]]]"),
    repr: lines(
      "NDArray([[[  0,   1,   2, ...,  85,  86,  87]],",
      "",
      "         [[ 88,  89,  90, ..., 173, 174, 175]]],",
      "        shape=(2, 1, 600), dtype=uint8)",
    ),
  },
  {
    criterion: "dtype that just fits the line",
    dtype: "uint16",
    shape: [13],
    values: count(13).map(() => 10),
    str: "[10 10 10 10 10 10 10 10 10 10 10 10 10]",
    repr: "NDArray([10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10], dtype=uint16)",
  },
  {
    criterion: "dtype that just does not fit the line",
    dtype: "float32",
    shape: [13],
    values: count(13).map(() => 1),
    str: "[1. 1. 1. 1. 1. 1. 1. 1. 1. 1. 1. 1. 1.]",
    repr: lines(
      "NDArray([1., 1., 1., 1., 1., 1., 1., 1., 1., 1., 1., 1., 1.],",
      "        dtype=float32)",
    ),
  },
  {
    criterion: "float32 digits go on exactly",
    dtype: "float32",
    shape: [2],
    values: [0.1, 126.298645],
    str: "[1.00000001e-01 1.26298645e+02]",
    repr: "NDArray([1.00000001e-01, 1.26298645e+02], dtype=float32)",
  },
  {
    criterion: "float16 digits go on exactly",
    dtype: "float16",
    shape: [3],
    values: [0.1, 1.234e-05, 5e-05],
    str: "[9.998e-02 1.234e-05 5.001e-05]",
    repr: "NDArray([9.998e-02, 1.234e-05, 5.001e-05], dtype=float16)",
  },
  {
    criterion: "uint8c is printed as uint8",
    dtype: "uint8c",
    shape: [3],
    values: [0, 255, 7],
    str: "[  0 255   7]",
    repr: "NDArray([  0, 255,   7], dtype=uint8c)",
  },
];

for (const { criterion, dtype, shape, values, str, repr } of examples) {
  Deno.test(`formatArray() ${criterion}`, () => {
    assertEquals(formatArray(printable(dtype, shape, stored(dtype, values))), str);
  });

  Deno.test(`describeArray() ${criterion}`, () => {
    assertEquals(describeArray(printable(dtype, shape, stored(dtype, values)), "NDArray"), repr);
  });
}

Deno.test("describeArray() aligns with the name that is given", () => {
  assertEquals(
    describeArray(printable("int8", [2, 1], [1, -2]), "A"),
    "A([[ 1],\n   [-2]], dtype=int8)",
  );
});

Deno.test("describeArray() puts one element on a line where the name takes the whole line", () => {
  const name = "N".repeat(72);
  const indent = " ".repeat(73);
  assertEquals(
    describeArray(printable("int8", [2], [1, 20]), name),
    lines(`${name}([ 1,`, `${indent} 20],`, `${indent}dtype=int8)`),
  );
});

Deno.test("formatArray() reads each shown element of a huge array once, and no other", () => {
  const read: string[] = [];
  const element = (index: readonly number[]): number => {
    read.push(index.join());
    return 1;
  };
  formatArray({ dtype: "float64", shape: [65536, 65536], element });
  const shown = [0, 1, 2, 65533, 65534, 65535];
  assertEquals(read, shown.flatMap((row) => shown.map((column) => `${row},${column}`)));
});

/** Random numbers from 0 to 1, the same in every run: mulberry32. */
function randomFrom(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

let random = randomFrom(20240229);
const integerBelow = (limit: number): number => Math.floor(random() * limit);
const oneOf = <T>(choices: readonly T[]): T => choices[integerBelow(choices.length)];
const sign = (): number => oneOf([-1, 1]);

function randomShape(): number[] {
  const axes = (ndim: number, longest: number): number[] =>
    Array.from({ length: ndim }, () => 1 + integerBelow(longest));
  return oneOf([
    () => [],
    () => axes(1, 12),
    () => axes(1, 100),
    () => axes(2, 8),
    () => [1 + integerBelow(4), 1 + integerBelow(40)],
    () => axes(3, 5),
    () => axes(4, 4),
    () => [...axes(integerBelow(3), 3), 0, ...axes(integerBelow(3), 3)].slice(0, 4),
    () => [990 + integerBelow(20)],
    () => [1001 + integerBelow(3000)],
    () => [2 + integerBelow(8), 400 + integerBelow(200)],
    () => [300 + integerBelow(200), 2 + integerBelow(8)],
    () => [...axes(2, 9), 120 + integerBelow(100)],
    () => [6 + integerBelow(3), 6 + integerBelow(3), 6 + integerBelow(3), 6 + integerBelow(3)],
  ])();
}

/** Makers of one float each: an array takes all its elements from one, or from several. */
const floatMakers: (() => number)[] = [
  () => sign() * integerBelow(20),
  () => sign() * integerBelow(100_000) / oneOf([1, 10, 1000, 1e5]),
  () => sign() * random(),
  () => sign() * random() * 10 ** integerBelow(9),
  () => sign() * random() * 10 ** (integerBelow(80) - 40),
  () => random() * 10 ** (integerBelow(630) - 323),
  () => oneOf([NaN, Infinity, -Infinity, 0, -0, 1]),
  // Halfway cases of the cut after eight digits, and of the last digit.
  () => sign() * (2 * integerBelow(5000) + 1) / 2 ** oneOf([9, 10, 11, 12]),
  // Powers of two, whose neighbours are not equally far.
  () => sign() * 2 ** (integerBelow(2098) - 1074),
  () => sign() * 2 ** (integerBelow(40) - 24),
  () => 10 ** (integerBelow(40) - 20),
  // Where the notation changes.
  () =>
    oneOf([1e8, 1e4, 1e-4, 1e-3, 1e5, 1, 1000, 1e16]) * (1 + sign() * integerBelow(3) * 2 ** -24),
  () =>
    oneOf([1e8, 1e4, 1e-4, 1e-3, 1e5, 1, 1000, 1e16]) * (1 + sign() * integerBelow(3) * 2 ** -52),
  () => oneOf([65504, 65472, 0.00006104, 5.96e-8, 3.4028235e38, 1.1754944e-38, 1e-45, 5e-324]),
  () => 1 - 10 ** -integerBelow(12),
];

function fillFloats(array: Float16Array | Float32Array | Float64Array): void {
  const makers = Array.from({ length: oneOf([1, 1, 1, 2, 3]) }, () => oneOf(floatMakers));
  for (let at = 0; at < array.length; at++) array[at] = oneOf(makers)();
}

function fillBits(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; at++) bytes[at] = integerBelow(256);
}

/** Leaves the elements as they are but for their highest bits, to have integers of all lengths. */
function shortenIntegers(dtype: DType, array: ArrayLike<unknown>): void {
  const elements = array as Record<number, number | bigint>;
  const bits = integerBelow(64);
  for (let at = 0; at < array.length; at++) {
    const element = elements[at];
    elements[at] = typeof element === "bigint"
      ? (dtype === "uint64" ? BigInt.asUintN(bits + 1, element) : BigInt.asIntN(bits + 1, element))
      : element % 2 ** bits;
  }
}

/** Puts integers at the limits of their dtype. */
function limitIntegers(bytes: Uint8Array, bytesPerElement: number): void {
  for (let at = 0; at < bytes.length; at += bytesPerElement) {
    const [low, high] = oneOf([[0, 0], [255, 255], [0, 128], [255, 127]]);
    bytes.fill(low, at, at + bytesPerElement).fill(
      high,
      at + bytesPerElement - 1,
      at + bytesPerElement,
    );
  }
}

interface RandomArray {
  dtype: DType;
  shape: number[];
  elements: Elements;
  bytes: Uint8Array;
}

function randomArray(dtype: DType): RandomArray {
  const shape = randomShape();
  const elements = new (typedArrayOf(dtype))(shape.reduce((size, length) => size * length, 1));
  const bytes = new Uint8Array(elements.buffer);
  fillBits(bytes);
  if (dtype === "bool") {
    const mask = oneOf([0, 1, 1, 1]);
    bytes.forEach((byte, at) => bytes[at] = byte & mask);
  } else if (dtype.startsWith("float")) {
    const keepsRandomBits = random() < 0.15;
    if (!keepsRandomBits) fillFloats(elements as Float64Array);
  } else {
    oneOf([
      () => {},
      () => shortenIntegers(dtype, elements),
      () => limitIntegers(bytes, elements.BYTES_PER_ELEMENT),
    ])();
  }
  return { dtype, shape, elements, bytes };
}

// NumPy leaves out a dtype that the values imply, which ours never does: that is switched off.
const printerInPython = `
import base64, json, sys
import numpy
try:
    from numpy._core import arrayprint
except ImportError:
    from numpy.core import arrayprint

class NDArray(numpy.ndarray):
    pass

arrayprint.dtype_is_implied = lambda dtype: False
printed = []
for case in json.load(sys.stdin):
    data = base64.b64decode(case["data"])
    array = numpy.frombuffer(data, case["dtype"]).reshape(case["shape"])
    printed.append([str(array), repr(array.view(NDArray))])
json.dump(printed, sys.stdout)
`;

/** What NumPy prints for each array: its str() and its repr(). */
async function printedByNumPy(
  python: Python,
  arrays: readonly RandomArray[],
): Promise<[str: string, repr: string][]> {
  const batch = arrays.map(({ dtype, shape, bytes }) => ({
    dtype,
    shape,
    data: btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")),
  }));
  const { stdout } = await runPython(["-c", printerInPython], JSON.stringify(batch), python.path);
  return JSON.parse(stdout);
}

/** How NumPy before 2.3 prints, where that differs: the only differences that there may be. */
const formerly: { [what: string]: (array: RandomArray, str: string, repr: string) => boolean } = {
  "float32 from 1e6 on and float16 from 1e3 on have no exponent": (array, str) =>
    (array.dtype === "float32" || array.dtype === "float16") && /e\+0[3-9]|e\+1\d/.test(str),
  "float32 0.0001 has an exponent": ({ dtype, elements }) =>
    dtype === "float32" && Array.prototype.includes.call(elements, Math.fround(1e-4)),
  "the shape is not told where elements are left out": ({ elements }, _, repr) =>
    elements.length > 1000 && repr.includes("shape="),
};

eachNumPyTest(
  "formatArray() and describeArray() print random arrays as NumPy does",
  async (python) => {
    random = randomFrom(20240229);
    const arrays = Array.from({ length: 250 }, () => dtypes)
      .flat()
      .filter((dtype) => dtype !== "uint8c")
      .map(randomArray);
    const printed = await printedByNumPy(python, arrays);
    assertEquals(printed.length, arrays.length);
    const differences = new Map(Object.keys(formerly).map((what) => [what, 0]));
    arrays.forEach((one, at) => {
      const array = printable(one.dtype, one.shape, one.elements);
      const [str, repr] = [formatArray(array), describeArray(array, "NDArray")];
      if (!isSince(python, 2, 3) && (str !== printed[at][0] || repr !== printed[at][1])) {
        const reasons = Object.keys(formerly).filter((what) => formerly[what](one, str, repr));
        for (const what of reasons) differences.set(what, differences.get(what)! + 1);
        if (reasons.length > 0) return;
      }
      assertEquals([str, repr], printed[at]);
    });
    // A difference that is never met would be a reason to look at the list again.
    if (!isSince(python, 2, 2)) {
      for (const [what, times] of differences) assert(times > 0, what);
    }
  },
);
