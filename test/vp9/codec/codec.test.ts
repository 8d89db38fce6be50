import { expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { cacheFolder } from "../../../src/debian/cache.ts";
import { openLibrary } from "../../../src/os/library.ts";
import { chooseCodec } from "../../../src/vp9/codec/codec.ts";
import { run, temporaryFolder } from "./reference.ts";

const project = join(import.meta.dir, "../../..");

// Debian's libvpx is fetched the first time.
setDefaultTimeout(120_000);

/**
 * Runs a script in a process that has a copy of the engines with one piece of libvpx-abi.ts changed: a machine without
 * libvpx, or with a libvpx unlike any known one; without programs, nothing is fetched. The script sees `chooseCodec` and `openCodec`.
 */
function elsewhere(known: string, instead: string, packages: boolean, script: string) {
  using folder = temporaryFolder();
  cpSync(join(project, "src/vp9/codec"), join(folder.path, "src/vp9/codec"), { recursive: true });
  for (const floor of ["os", "debian", "pixels"])
    cpSync(join(project, "src", floor), join(folder.path, "src", floor), { recursive: true });
  if (packages) symlinkSync(join(project, "node_modules"), join(folder.path, "node_modules"));
  const table = join(folder.path, "src/vp9/codec/libvpx-abi.ts");
  const text = readFileSync(table, "utf8");
  expect(text).toContain(known);
  writeFileSync(table, text.replaceAll(known, instead));
  const head = `import { chooseCodec, openCodec } from "./src/vp9/codec/codec.ts";`;
  writeFileSync(join(folder.path, "script.ts"), `${head}\n${script}`);
  const away = ["env", "PATH=", `XDG_CACHE_HOME=${folder.path}`];
  const { stdout, stderr } = run([...away, process.execPath, "--no-install", "script.ts"], folder.path);
  expect(stderr).toBe("");
  return new TextDecoder().decode(stdout);
}

const failure = `await chooseCodec("auto").catch((error) => console.log(error.name, error.message))`;

test("the codec is libvpx where there is one, and otherwise the one asked for", async () => {
  expect(await chooseCodec("auto")).toEqual({
    name: "libvpx",
    version: expect.stringMatching(/^libvpx v\d+\.\d+/),
  });
  expect(await chooseCodec("libvpx")).toEqual(await chooseCodec("auto"));
  expect((await chooseCodec("debian")).version).toMatch(/^libvpx v1\.1[5-9]/);
  expect((await chooseCodec("libav.js")).version).toMatch(/^libav\.js \d+\.\d+\.\d+$/);
  expect((await chooseCodec("null")).name).toBe("null");
});

test("without libvpx it is libav.js where nothing can be fetched, which prints nothing and lets the process end", () => {
  const script = `
    import { ptr } from "bun:ffi";
    const { name } = await chooseCodec("auto");
    const settings = {
      width: 64, height: 64, codedWidth: 64, codedHeight: 64, format: "i420", rateControl: "cbr", threads: 1,
      timebase: { num: 1, den: 1000 }, fps: { num: 25, den: 1 },
      bitrateKbps: null, cqLevel: null, gopFrames: null, speed: null, settings: {}, temporalLayers: 1,
    } as const;
    const codec = await openCodec(name, settings);
    const memory = new Uint8Array(new ArrayBuffer(6144)).fill(128);
    const frame = { address: Number(ptr(memory)), sizeBytes: 6144, pts: 0, duration: 40, forceKey: false };
    console.log(name, (await codec.encode(frame)).length);`;
  expect(elsewhere("libvpx.so", "libabsent.so", true, script)).toBe("libav.js 1\n");
});

test("without any engine the error names all that was tried and what installs them", () => {
  const message = elsewhere("libvpx.so", "libabsent.so", false, failure);
  expect(message).toStartWith("CodecError no codec available\n");
  for (const major of [12, 11, 10, 9, 8, 7, 6])
    expect(message).toContain(`libabsent.so.${major} (not found)`);
  expect(message).toContain("apt-get install libvpx7");
  expect(message).toContain("embedded: only a standalone binary has it");
  expect(message).toContain("Debian's libvpx9: apt-config is needed but not on the PATH");
  expect(message).toContain("libav.js: Cannot find package");
  expect(message).toContain("npm install @libav.js/variant-webm-vp9");
});

test("Debian's libvpx is not loaded from a cache folder that others can write to", async () => {
  await chooseCodec("debian");
  using folder = temporaryFolder();
  cpSync(cacheFolder(), join(folder.path, "vfiokit"), {
    recursive: true,
    filter: (path) => path === cacheFolder() || basename(path).startsWith("libvpx9-"),
  });
  const script = `
    import { cacheFolder } from "../../../src/debian/cache.ts";
import { chooseCodec } from "${project}/src/vp9/codec/codec.ts";
    await chooseCodec("debian").then(({ name }) => console.log(name), (error) => console.log(error.message));`;
  writeFileSync(join(folder.path, "script.ts"), script);
  const choose = () =>
    new TextDecoder().decode(
      run(["env", `XDG_CACHE_HOME=${folder.path}`, process.execPath, "script.ts"], folder.path).stdout,
    );
  expect(choose()).toBe("debian\n");
  chmodSync(join(folder.path, "vfiokit"), 0o777);
  expect(choose()).toContain("can be written by others than user");
});

test("a libvpx of another layout or interface version is refused, not called", () => {
  expect(elsewhere("offset: 168", "offset: 172", false, failure)).toMatch(
    /libvpx v[\d.]+: unknown layout of vpx_codec_enc_cfg: kf_max_dist at byte 172 is 1, not 128\n/,
  );
  expect(elsewhere("abiVersions = [", "abiVersions = [1000]; void [", false, failure)).toMatch(
    /libvpx v[\d.]+ \(libvpx\.so\.\d+\): unknown encoder ABI version\n/,
  );
});

test("a libvpx whose interface version is in no list is found by trying", () => {
  expect(elsewhere("39, 37, 36, 34, 30, 25, 24, 23", "99", false, failure)).toBe("");
});

test("a library opens under the first name that exists and has every symbol", () => {
  const symbols = { cos: { args: ["f64"], returns: "f64" } } as const;
  const library = openLibrary(["libabsent.so.1", "libc.so.6", "libm.so.6"], symbols);
  expect(library.soname).toBe("libm.so.6");
  expect(library.symbols.cos(0)).toBe(1);
  library.close();
  expect(() =>
    openLibrary(["libabsent.so.1", "libc.so.6"], { absent: { args: [], returns: "i32" } }),
  ).toThrow(/^no such library: tried libabsent\.so\.1 \(not found\), libc\.so\.6 \(.*absent.*\)$/);
});

test("a library that merely lies in the working directory is not opened", () => {
  using folder = temporaryFolder();
  const loaded = /\S+\/libm\.so\.6$/m.exec(readFileSync("/proc/self/maps", "utf8"))![0];
  cpSync(loaded, join(folder.path, "libabsent.so.1"), { dereference: true });
  const script = `
    import { openLibrary } from "${project}/src/os/library.ts";
    const symbols = { cos: { args: ["f64"], returns: "f64" } } as const;
    openLibrary(["./libabsent.so.1"], symbols).close();
    openLibrary(["libabsent.so.1"], symbols);`;
  writeFileSync(join(folder.path, "script.ts"), script);
  expect(() => run([process.execPath, "script.ts"], folder.path)).toThrow("tried libabsent.so.1 (not found)");
});
