/**
 * A program that imports the library and uses it once.
 *
 * @module
 */

import { SharedMemoryArray } from "../../mod.ts";

using sma = new SharedMemoryArray([8, 8], "float64", SharedMemoryArray.buildSmaName("bench"));
const array = sma.create();
sma.unlink();
array.set(1, 2, 3);
if (array.get(1, 2) !== 3) throw new Error("The first call gives a wrong result");
