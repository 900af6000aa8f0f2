/**
 * The versions of other runtimes with which the package is tested: this is the only place that names them.
 * `tests/helpers/runtimes.ts` brings them.
 *
 * @module
 */

/** The runtimes by the names that tests use. */
export const versions = {
  /** The newest Node. */
  "node": "26.12.1",
  /** The first Node whose FFI needs no flag. */
  "node-26.9": "26.9.0",
  /** The newest Bun. */
  "bun": "1.4.5",
  /** The line of Bun before, which is the oldest that the package runs in. */
  "bun-1.3": "1.3.14",

  // The package says in these what it needs.
  "node-26.8": "26.8.2",
  "node-24": "24.21.0",
  "node-22": "22.23.3",
  "bun-1.2": "1.2.23",
  /** Cloudflare's runtime. */
  "workerd": "1.20261117.1",
} as const satisfies { readonly [name: `${"node" | "bun" | "workerd"}${string}`]: string };

/** The name of a runtime. */
export type RuntimeName = keyof typeof versions;

/** Those in which the package runs. */
export const supported = ["node", "node-26.9", "bun", "bun-1.3"] as const;

/** Those that are too old for it. */
export const tooOld = ["node-26.8", "node-24", "node-22", "bun-1.2"] as const;

/** What a user of Node who compiles has besides. */
export const packages = { "typescript": "7.0.2", "@types/node": "26.6.6" } as const;
