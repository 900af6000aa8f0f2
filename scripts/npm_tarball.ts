/**
 * Makes the tarball that JSR would serve to npm, so that tests install it: JSR turns each module into JavaScript
 * and declarations, which Node and Bun get. Run as a program, it writes the tarball to the path that it is given.
 *
 * ```sh
 * deno run -A scripts/npm_tarball.ts /tmp/array.tgz
 * npm install @shm/array@file:/tmp/array.tgz
 * ```
 *
 * `deno pack` translates with the code that JSR has, too. The places of the files and `package.json` are JSR's:
 * `x.ts` lies beside `x.js`, `_dist/x.d.ts` has its types, and no program (`bin`) is named. Only source maps are
 * left out.
 *
 * @see {@link https://jsr.io/docs/npm-compatibility | npm compatibility, in JSR's documentation}
 * @see {@link https://github.com/jsr-io/jsr/blob/main/api/src/npm/tarball.rs | what JSR does}
 *
 * @module
 */

/** `package.json` as JSR writes it. */
export interface PackageJson {
  readonly name: string;
  readonly version: string;
  readonly homepage: string;
  readonly type: "module";
  readonly dependencies: { readonly [name: string]: string };
  readonly exports: {
    readonly [entry: string]: { readonly types: string; readonly default: string };
  };
  readonly _jsr_revision: number;
}

/** The form of the tarballs that is made here, as JSR counts them. */
const REVISION = 11;

/** The specifiers of other modules of the package, in imports and in exports. */
const specifiers = /((?:\bfrom|\bimport)\s*\(?\s*")(\.[^"]+)\.ts(?=")/g;

/**
 * Makes the tarball.
 *
 * @param root the folder of the package's `deno.json`, as a URL that ends in a slash
 * @param path where the tarball is written
 * @returns what its `package.json` says
 */
export async function makeNpmTarball(root: URL, path: string): Promise<PackageJson> {
  const folder = await Deno.makeTempDir();
  try {
    const packed = `${folder}/packed.tgz`;
    await run(root.pathname, Deno.execPath(), [
      "pack",
      "--quiet",
      "--allow-dirty",
      "--no-source-maps",
      `--output=${packed}`,
    ]);
    await run(folder, "tar", ["-xzf", packed]);
    const made = `${folder}/package`;
    for (const file of await filesOf(made)) {
      const from = `${made}/${file}`;
      if (file.endsWith(".d.ts")) {
        const to = `${made}/_dist/${file}`;
        await Deno.mkdir(to.slice(0, to.lastIndexOf("/")), { recursive: true });
        await Deno.rename(from, to);
      } else if (file.endsWith(".js")) {
        const source = file.replace(/js$/, "ts");
        const text = await Deno.readTextFile(new URL(source, root));
        await Deno.writeTextFile(`${made}/${source}`, text.replaceAll(specifiers, "$1$2.js"));
      }
    }
    await Deno.copyFile(new URL("deno.json", root), `${made}/deno.json`);
    const description = describe(JSON.parse(await Deno.readTextFile(new URL("deno.json", root))));
    await Deno.writeTextFile(`${made}/package.json`, JSON.stringify(description, null, 2));
    for (const { types, default: module } of Object.values(description.exports)) {
      await Promise.all([types, module].map((file) => Deno.stat(`${made}/${file}`)));
    }
    await run(folder, "tar", ["-czf", path, "package"]);
    return description;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** `package.json`, of what `deno.json` says. */
function describe(
  { name, version, exports }: {
    name: string;
    version: string;
    exports: { [entry: string]: string };
  },
): PackageJson {
  return {
    name: `@jsr/${name.slice(1).replace("/", "__")}`,
    version,
    homepage: `https://jsr.io/${name}`,
    type: "module",
    dependencies: {},
    exports: Object.fromEntries(
      Object.entries(exports).map(([entry, file]) => [entry, {
        types: file.replace(/^\.\/(.*)\.ts$/, "./_dist/$1.d.ts"),
        default: file.replace(/\.ts$/, ".js"),
      }]),
    ),
    _jsr_revision: REVISION,
  };
}

/** The files below a folder, by their paths from there. */
async function filesOf(folder: string, prefix = ""): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(`${folder}/${prefix}`)) {
    if (isDirectory) files.push(...await filesOf(folder, `${prefix}${name}/`));
    else files.push(prefix + name);
  }
  return files;
}

/** Runs a program, which must succeed. */
async function run(cwd: string, program: string, args: string[]): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd,
    env: { NO_COLOR: "1" },
  }).output();
  if (success) return;
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  throw new Error(`${program} ${args.join(" ")} failed:\n${out}${err}`);
}

if (import.meta.main) {
  const [path] = Deno.args;
  if (path === undefined) throw new Error("Cannot make the tarball: no path was given");
  await makeNpmTarball(new URL("../", import.meta.url), path);
}
