/**
 * A package registry of one package: what `deno publish` would publish, served in JSR's layout.
 *
 * @module
 */

import { extname } from "node:path";

/** What is published: the files by their path, "/mod.ts", and what `deno.json` says of them. */
export interface Package {
  readonly name: string;
  readonly version: string;
  readonly exports: { readonly [entry: string]: string };
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

/** A running registry. */
export interface Registry extends AsyncDisposable {
  /** What `JSR_URL` must be for Deno to ask this registry. */
  readonly url: string;
  /** The paths that were asked for, in this order. */
  readonly requests: readonly string[];
}

const mediaTypes: { readonly [extension: string]: string | undefined } = {
  ".ts": "text/typescript",
  ".json": "application/json",
  ".md": "text/markdown",
};

/**
 * Collects what `deno publish` would publish now, as its dry run tells.
 *
 * @param root the folder of the package's `deno.json`
 */
export async function collectPackage(root: URL): Promise<Package> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["publish", "--dry-run", "--allow-dirty"],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (code !== 0) throw new Error(`Cannot publish:\n${err}`);
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  // "   file:///work/main/mod.ts (2.06KB)"
  for (const [, href] of (out + err).matchAll(/^ +(file:\S+) \([\d.]+ ?[KM]?B\)$/gm)) {
    files.set("/" + href.slice(root.href.length), await Deno.readFile(new URL(href)));
  }
  const { name, version, exports } = JSON.parse(
    await Deno.readTextFile(new URL("deno.json", root)),
  );
  return { name, version, exports, files };
}

/**
 * Serves a package on a free port of this machine: `/@scope/name/meta.json` lists the versions,
 * `/@scope/name/VERSION_meta.json` the files with their checksums, and each file is below
 * `/@scope/name/VERSION/`.
 */
export async function serveRegistry(published: Package): Promise<Registry> {
  const { name, version, exports, files } = published;
  const [scope, short] = name.slice(1).split("/");
  const manifest: { [path: string]: { size: number; checksum: string } } = {};
  for (const [path, bytes] of files) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    manifest[path] = { size: bytes.length, checksum: `sha256-${hex}` };
  }
  const json = (value: unknown): Response =>
    new Response(JSON.stringify(value), { headers: { "content-type": mediaTypes[".json"]! } });

  const requests: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const path = decodeURIComponent(new URL(request.url).pathname);
    requests.push(path);
    if (path === `/${name}/meta.json`) {
      return json({ scope, name: short, latest: version, versions: { [version]: {} } });
    }
    if (path === `/${name}/${version}_meta.json`) return json({ manifest, exports });
    const prefix = `/${name}/${version}`;
    const bytes = path.startsWith(`${prefix}/`) ? files.get(path.slice(prefix.length)) : undefined;
    if (bytes === undefined) return new Response("not found", { status: 404 });
    const type = mediaTypes[extname(path)] ?? "text/plain";
    return new Response(bytes, { headers: { "content-type": type } });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/`,
    requests,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
    },
  };
}
