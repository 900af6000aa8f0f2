/**
 * A program that imports the library; it fails if that opens anything.
 *
 * @module
 */

const before = openFiles();
let opened = 0;
const dlopen = Deno.dlopen;
Deno.dlopen = ((...args: Parameters<typeof dlopen>) => {
  opened++;
  return dlopen(...args);
}) as typeof dlopen;
await import("../../mod.ts");
if (opened > 0 || openFiles() !== before) throw new Error("The import has opened something");

function openFiles(): string {
  return [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => name).sort().join();
}

export {};
