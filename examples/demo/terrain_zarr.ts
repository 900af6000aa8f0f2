// Writes the ground of the demo, Maunga Whau, as a Zarr array of heights, a row of chunks at a time: what
// examples/cluster/ shades. The picture is WIDTH pixels wide, around it is a border of one height.
// Run it: deno run --allow-read --allow-write examples/demo/terrain_zarr.ts FOLDER [WIDTH [TILE]]
// It prints nothing: what it makes is FOLDER/heights.

import FileSystemStore from "@zarrita/storage/fs";
import * as zarr from "zarrita";
import { readVolcano } from "./input.ts";
import { buildSurface, SurfaceSampler, surfaceShape } from "./terrain.ts";

const [folder, pixels = 3500, tile = 512] = Deno.args;
const grid = await readVolcano();
const [groundWidth, groundHeight] = [grid.columns, grid.rows].map((n) => n * grid.spacing);
const width = Number(pixels) + 2;
const height = Math.round(width * groundHeight / groundWidth);
const chunkShape = [Number(tile), Number(tile)];
const array = await zarr.create(zarr.root(new FileSystemStore(folder)).resolve("heights"), {
  shape: [height, width],
  chunkShape,
  dtype: "float32",
  attributes: { spacing: groundWidth / width },
});

const [rows, columns] = surfaceShape(grid);
const surface = new Float64Array(rows * columns);
const scene = { ...grid, width, height, groundWidth, groundHeight, ...buildSurface(grid, surface) };
const sampler = new SurfaceSampler(scene);
for (let top = 0; top < height; top += chunkShape[0]) {
  const end = Math.min(height, top + chunkShape[0]);
  const data = new Float32Array((end - top) * width);
  sampler.resampleRows(surface, top, data);
  const band = { data, shape: [end - top, width], stride: [width, 1] };
  await zarr.set(array, [zarr.slice(top, end), null], band);
}
