// smoke.ts
import { mkdirSync as mkdirSync4, rmSync as rmSync5, writeFileSync as writeFileSync3, readFileSync as readFileSync5, existsSync as existsSync3, copyFileSync } from "node:fs";
import { spawnSync } from "node:child_process";

// qcow2/test/kernel/boot.ts
import { execFileSync } from "node:child_process";
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

// qcow2/test/kernel/cpio.ts
var HEADER_FIELDS = 13;
var TYPE_FILE = 32768;
var TYPE_FOLDER = 16384;
var TYPE_LINK = 40960;
function cpioArchive(entries) {
  const parts = [];
  const folders = /* @__PURE__ */ new Set();
  let inode = 1;
  const member = (path, mode2, data) => {
    parts.push(header(path, inode++, mode2, data.length), pad(Buffer.from(`${path}\0`), 110), pad(data, 0));
  };
  const folder = (path) => {
    if (path === "" || path === "." || folders.has(path)) return;
    folder(path.split("/").slice(0, -1).join("/"));
    folders.add(path);
    member(path, TYPE_FOLDER | 493, Buffer.alloc(0));
  };
  for (const entry of entries) {
    const path = entry.path.replace(/^\/+/, "");
    if ("folder" in entry) {
      folder(path);
      continue;
    }
    folder(path.split("/").slice(0, -1).join("/"));
    if ("link" in entry) member(path, TYPE_LINK | 511, Buffer.from(entry.link));
    else member(path, TYPE_FILE | entry.mode, entry.data);
  }
  member("TRAILER!!!", 0, Buffer.alloc(0));
  return Buffer.concat(parts);
}
function header(path, inode, mode2, size) {
  const fields = new Array(HEADER_FIELDS).fill(0);
  fields[0] = inode;
  fields[1] = mode2;
  fields[4] = 1;
  fields[6] = size;
  fields[11] = Buffer.byteLength(path) + 1;
  return Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`);
}
function pad(data, before) {
  const rest = (before + data.length) % 4;
  return Buffer.concat([data, Buffer.alloc(rest === 0 ? 0 : 4 - rest)]);
}

// qcow2/test/kernel/process.ts
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
var alive = /* @__PURE__ */ new Set();
function runLogged(argv, options) {
  const out = openSync(options.output, "w");
  return new Promise((resolve, reject) => {
    const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", ...argv], {
      stdio: ["ignore", out, out],
      detached: true,
      cwd: options.cwd,
      env: options.env ?? process.env
    });
    closeSync(out);
    const pid = child.pid;
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      if (pid !== void 0) killGroup(pid);
    }, options.timeoutMs);
    if (pid !== void 0) alive.add(pid);
    child.once("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once("exit", (code) => {
      clearTimeout(timer);
      if (pid !== void 0) alive.delete(pid);
      if (timedOut) resolve({ code: null, reason: "timeout" });
      else if (code === null) resolve({ code: null, reason: "signal" });
      else resolve({ code });
    });
  });
}
function killGroup(pid) {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
  }
}
process.once("exit", () => {
  for (const pid of alive) killGroup(pid);
});

// qcow2/test/kernel/boot.ts
var EXIT_MARK = "@@exit ";
async function bootKernel(request) {
  const folder = mkdtempSync(join(tmpdir(), "blkfleet-boot-"));
  const started = Date.now();
  try {
    const initrd = join(folder, "initrd");
    writeFileSync(initrd, cpioArchive(initramfs(request)));
    const ended = await runLogged(qemuArguments(request, folder, initrd), {
      output: join(folder, "qemu.log"),
      timeoutMs: request.timeoutMs
    });
    const { output, exit } = splitExit(readText(join(folder, "output")));
    const said = readText(join(folder, "qemu.log"));
    return {
      exit,
      output,
      console: readText(join(folder, "console")) + (ended.code === 0 ? "" : said),
      timedOut: ended.code === null && ended.reason === "timeout",
      seconds: (Date.now() - started) / 1e3
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
function qemuArguments(request, folder, initrd) {
  const append = [
    "console=ttyS0",
    "panic=-1",
    "no_timer_check",
    "mitigations=off",
    ...request.append ?? []
  ];
  return [
    findProgram("qemu-system-x86_64"),
    ...request.countInstructions ? ["-accel", "tcg", "-icount", "shift=0,sleep=off", "-smp", "1"] : ["-accel", "tcg,thread=multi", "-smp", String(request.cpus ?? 2)],
    ...["-cpu", "max"],
    ...["-m", String(request.memoryMb ?? 768), "-nodefaults", "-nographic", "-no-reboot"],
    ...["-kernel", request.kernel.vmlinuz, "-initrd", initrd, "-append", append.join(" ")],
    ...(request.disks ?? []).flatMap((path) => ["-drive", `file=${path},format=raw,if=virtio,cache=unsafe`]),
    ...["-serial", `file:${join(folder, "console")}`, "-serial", `file:${join(folder, "output")}`]
  ];
}
function initramfs(request) {
  const busybox = readFileSync(findProgram("busybox"));
  if (busybox.includes("/lib64/ld-linux"))
    throw new Error("busybox must be static: apt-get install busybox-static");
  const modules = request.kernel.resolveModules(request.modules ?? []);
  const insmods = modules.map(
    ({ name }) => `insmod /modules/${name}.ko ${request.moduleParameters?.[name] ?? ""} || code=126`
  );
  return [
    ...["dev", "proc", "sys", "tmp", "root", "var/lib"].map((path) => ({ path, folder: true })),
    { path: "bin/busybox", mode: 493, data: busybox },
    ...busyboxApplets().map((name) => ({ path: `bin/${name}`, link: "busybox" })),
    ...modules.map((module) => ({ path: `modules/${module.name}.ko`, mode: 420, data: module.data() })),
    ...(request.files ?? []).map((file) => ({ path: file.path, mode: file.mode ?? 420, data: file.data })),
    { path: "script", mode: 493, data: Buffer.from(request.script) },
    { path: "init", mode: 493, data: Buffer.from(initScript(insmods)) }
  ];
}
function initScript(insmods) {
  return `#!/bin/busybox sh
export PATH=/bin:/sbin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
exec </dev/null >/dev/ttyS1 2>&1
stty -F /dev/ttyS1 raw 2>/dev/null
code=0
${insmods.join("\n")}
if [ $code = 0 ]; then
	sh /script
	code=$?
fi
echo "${EXIT_MARK}$code"
sync
poweroff -f
`;
}
var applets;
function busyboxApplets() {
  applets ??= execFileSync(findProgram("busybox"), ["--list"], { encoding: "utf8" }).split("\n").filter(Boolean);
  return applets.filter((name) => name !== "busybox");
}
function findProgram(name) {
  for (const folder of [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin", "/bin"]) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
    }
  }
  throw new Error(`${name} is not installed`);
}
function splitExit(text) {
  const found = /^@@exit (\d+)\s*$/m.exec(text);
  if (!found) return { output: text, exit: null };
  return { output: text.slice(0, found.index), exit: Number(found[1]) };
}
function readText(path) {
  try {
    return readFileSync(path, "latin1").replaceAll("\r", "");
  } catch {
    return "";
  }
}

// qcow2/test/kernel/lines.ts
var slub = ["slub_debug=FZPU", "page_poison=1"];
var kfence = ["kfence.sample_interval=1"];
var kernelLines = [
  { line: "5.10", suite: "bullseye", debug: slub },
  { line: "6.1", suite: "bookworm", debug: slub },
  { line: "6.12", suite: "trixie", tools: ["perl"], debug: [...slub, ...kfence] },
  { line: "7", suite: "trixie-backports", debug: [...slub, ...kfence] }
];
var flavour = "amd64";

// qcow2/test/kernel/prepare.ts
import { join as join9 } from "node:path";

// qcow2/src/lab/debian/cache.ts
import { spawn as spawn2 } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join as join2 } from "node:path";
import { createInterface } from "node:readline";

// qcow2/src/lib/errors.ts
var FleetError = class extends Error {
  diagnostics;
  constructor(first, options) {
    const list = Array.isArray(first) ? first : [first];
    super(list[0]?.message ?? "unknown error", options);
    this.name = "FleetError";
    this.diagnostics = list;
  }
  get code() {
    return this.diagnostics[0]?.code ?? "E_BUG";
  }
  get hint() {
    return this.diagnostics[0]?.hint;
  }
};

// qcow2/src/lab/debian/cache.ts
function cacheFolder(env = process.env) {
  if (env.BLKFLEET_CACHE) return env.BLKFLEET_CACHE;
  return join2(env.XDG_CACHE_HOME || join2(homedir(), ".cache"), "blkfleet");
}
async function withLock(file, log, work) {
  await mkdir(dirname(file), { recursive: true }).catch((cause) => {
    throw new FleetError(
      {
        code: "E_FILE",
        message: `can not make the folder ${dirname(file)}: ${cause.code ?? cause.message}`,
        hint: "the environment variable BLKFLEET_CACHE names another cache folder"
      },
      { cause }
    );
  });
  const holder = spawn2("flock", ["-x", file, "sh", "-c", "echo held; exec cat"], {
    stdio: ["pipe", "pipe", "ignore"],
    // Ctrl-C reaches the whole foreground group; the lock must outlive our own clean-up.
    detached: true
  });
  const waiting = setTimeout(
    () => log("waiting for another blkfleet process that makes the same thing"),
    1e3
  );
  try {
    await new Promise((resolve, reject) => {
      const lines = createInterface({ input: holder.stdout });
      lines.once("line", () => resolve());
      holder.once("error", reject);
      holder.once("exit", () => reject(new Error("flock ended early")));
    }).catch((cause) => {
      throw new FleetError(
        { code: "E_FILE", message: `can not lock ${file}`, hint: "flock of util-linux is needed" },
        { cause }
      );
    });
    clearTimeout(waiting);
    return await work();
  } finally {
    clearTimeout(waiting);
    holder.stdin.on("error", () => {
    });
    holder.stdin.end();
  }
}

// qcow2/src/lab/debian/package.ts
import { createHash } from "node:crypto";
import { mkdir as mkdir2, readdir as readdir2, rename, rm, stat, writeFile } from "node:fs/promises";
import { join as join4 } from "node:path";

// qcow2/src/lab/debian/mirror.ts
import { readdir, readFile } from "node:fs/promises";
import { join as join3 } from "node:path";

// qcow2/src/lab/debian/run.ts
import { spawn as spawn4 } from "node:child_process";
import { createInterface as createInterface2 } from "node:readline";

// qcow2/src/lab/debian/privilege.ts
import { spawn as spawn3 } from "node:child_process";
var unshare = ["unshare", "--map-root-user", "--map-auto", "--mount", "--"];
var sudo = ["sudo", "-n", "--"];
var prefix;
async function asRoot(argv) {
  prefix ??= findWay();
  const [first, ...rest] = [...await prefix, ...argv];
  return [first, ...rest];
}
async function findWay() {
  if (process.getuid?.() === 0) return [];
  for (const way of [unshare, sudo]) if (await works([...way, "true"])) return way;
  throw new FleetError({
    code: "E_FILE",
    message: "making a Debian root needs root rights, and this user has no way to them",
    hint: "give this user subordinate ids (package uidmap; `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER` as root), or sudo without a password, or run this as root"
  });
}
function works(argv) {
  const [program, ...args] = argv;
  return new Promise((resolve) => {
    const child = spawn3(program, args, { stdio: "ignore" });
    child.once("error", () => resolve(false));
    child.once("exit", (status) => resolve(status === 0));
  });
}
function signalGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (error.code !== "EPERM") return;
    spawn3("sudo", ["-n", "--", "kill", `-${signal.slice(3)}`, "--", `-${pid}`], { stdio: "ignore" }).once("error", () => {
    }).unref();
  }
}

// qcow2/src/lab/debian/run.ts
var LAST_LINES = 15;
var GRACE_MS = 2e4;
async function runTool(argv, options = {}) {
  const [program, ...rest] = argv;
  options.signal?.throwIfAborted();
  const child = spawn4(program, rest, {
    cwd: options.cwd,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env,
      // Users other than root have no folder of system programs in theirs, where mke2fs and debugfs are.
      PATH: `${process.env.PATH ?? "/usr/bin:/bin"}:/usr/sbin:/sbin`,
      LC_ALL: "C.UTF-8",
      DEBIAN_FRONTEND: "noninteractive",
      ...options.env
    },
    // A group of its own can be ended as a whole, also what its parent has left.
    detached: options.signal !== void 0
  });
  const disarm = endOnAbort(child, options.signal);
  const last = [];
  let stdout = "";
  const take = (line2) => {
    if (line2.trim() === "") return;
    last.push(line2);
    if (last.length > LAST_LINES) last.shift();
    options.log?.(line2);
  };
  eachLine(child.stdout, (line2) => {
    stdout += `${line2}
`;
    take(line2);
  });
  eachLine(child.stderr, take);
  const status = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(code ?? signal ?? "unknown"));
  }).catch((cause) => {
    if (cause.code === "ENOENT")
      throw new FleetError({
        code: "E_FILE",
        message: `the program ${program} is not installed`,
        hint: options.hint ?? "`npm run quickstart` installs what is missing"
      });
    throw cause;
  }).finally(disarm);
  options.signal?.throwIfAborted();
  if (status !== 0)
    throw new FleetError({
      code: "E_STEP",
      message: `${program} failed (${status}):
${last.map((line2) => `    ${line2}`).join("\n")}`,
      hint: options.hint
    });
  return stdout;
}
function endOnAbort(child, signal) {
  let hard;
  const onAbort = () => {
    if (child.pid === void 0) return;
    const { pid } = child;
    signalGroup(pid, "SIGTERM");
    hard = setTimeout(() => signalGroup(pid, "SIGKILL"), GRACE_MS);
  };
  signal?.addEventListener("abort", onAbort, { once: true });
  return () => {
    clearTimeout(hard);
    signal?.removeEventListener("abort", onAbort);
  };
}
function eachLine(stream, take) {
  createInterface2({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on("line", take);
}

// qcow2/src/lab/debian/mirror.ts
var DEFAULT_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
var RELEASE = "(?:buster|bullseye|bookworm|trixie|forky|duke|sid|oldoldstable|oldstable|stable|testing|unstable)";
var ARCHIVE_SUITE = new RegExp(`^${RELEASE}(?:-updates|-proposed-updates|-backports)?$`);
var SECURITY_SUITE = new RegExp(`^${RELEASE}(?:-security|/updates)$`);
async function findMirror(etc = "/etc/apt") {
  const mirror = chooseMirror(await readSources(etc));
  if (!mirror)
    throw new FleetError({
      code: "E_FILE",
      message: `no entry for a Debian archive in ${etc}/sources.list or ${etc}/sources.list.d`,
      hint: "the lab host and the tests install Debian packages: they need a machine whose apt has a Debian mirror"
    });
  return { ...mirror, aptOptions: await aptOptions() };
}
async function readSources(etc) {
  const folder = join3(etc, "sources.list.d");
  const names = await readdir(folder).catch(() => []);
  const files = [join3(etc, "sources.list"), ...names.sort().map((name) => join3(folder, name))];
  const entries = [];
  for (const file of files) {
    const text = await readFile(file, "utf8").catch(() => "");
    if (file.endsWith(".sources")) entries.push(...parseDeb822(text));
    else if (file.endsWith(".list")) entries.push(...parseOneLine(text));
  }
  return entries;
}
function parseOneLine(text) {
  const entries = [];
  for (const line2 of text.split("\n")) {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)(?:\s+([^#]*))?/.exec(line2);
    if (!match) continue;
    const signedBy = /(?:^|\s)signed-by=(\S+)/i.exec(match[1] ?? "")?.[1];
    entries.push({
      uri: match[2],
      suites: [match[3]],
      components: words(match[4] ?? ""),
      ...signedBy ? { signedBy } : {}
    });
  }
  return entries;
}
function parseDeb822(text) {
  const entries = [];
  const plain = text.split("\n").filter((line2) => !line2.startsWith("#"));
  for (const stanza of plain.join("\n").split(/\n\s*\n/)) {
    const fields = /* @__PURE__ */ new Map();
    let last = "";
    for (const line2 of stanza.split("\n")) {
      const field = /^([A-Za-z-]+):\s*(.*)$/.exec(line2);
      if (field) {
        last = field[1].toLowerCase();
        fields.set(last, field[2]);
      } else if (/^\s/.test(line2) && last !== "") fields.set(last, `${fields.get(last)}
${line2.trim()}`);
    }
    if (!words(fields.get("types") ?? "").includes("deb")) continue;
    if (/^(no|false|0|off|disable)$/i.test(fields.get("enabled")?.trim() ?? "")) continue;
    const signedBy = fields.get("signed-by")?.trim();
    for (const uri of words(fields.get("uris") ?? ""))
      entries.push({
        uri,
        suites: words(fields.get("suites") ?? ""),
        components: words(fields.get("components") ?? ""),
        ...signedBy ? { signedBy } : {}
      });
  }
  return entries;
}
function chooseMirror(entries) {
  const debian = entries.filter(
    (entry) => /^https?:\/\//.test(entry.uri) && entry.components.includes("main") && (entry.signedBy === void 0 || entry.signedBy.includes("debian-archive"))
  );
  const pick = (suite, path) => {
    const fitting = debian.filter((entry) => entry.suites.some((name) => suite.test(name)));
    return fitting.find((entry) => path.test(entry.uri)) ?? fitting.find((entry) => entry.signedBy) ?? fitting[0];
  };
  const archive = pick(ARCHIVE_SUITE, /\/debian\/?$/);
  if (!archive) return null;
  const security = pick(SECURITY_SUITE, /\/debian-security\/?$/);
  return {
    archive: archive.uri.replace(/\/+$/, ""),
    ...security ? { security: security.uri.replace(/\/+$/, "") } : {},
    keyring: archive.signedBy?.startsWith("/") ? archive.signedBy : DEFAULT_KEYRING
  };
}
function sourcesFor(mirror, suite, extraSuites = []) {
  const release = suite.replace(/-(?:backports|updates|security|proposed-updates)$/, "");
  const suites = /* @__PURE__ */ new Set([release]);
  if (!["sid", "unstable"].includes(release)) suites.add(`${release}-updates`);
  for (const extra of [suite, ...extraSuites]) if (!extra.endsWith("-security")) suites.add(extra);
  const keys = `Components: main
Signed-By: ${mirror.keyring}
`;
  const stanzas = [`Types: deb
URIs: ${mirror.archive}
Suites: ${[...suites].join(" ")}
${keys}`];
  const releases = new Set(
    [...suites].map((name) => name.replace(/-(?:backports|updates|proposed-updates)$/, ""))
  );
  const secured = [...releases].filter((name) => !["sid", "unstable", "experimental"].includes(name));
  if (mirror.security && secured.length > 0)
    stanzas.push(
      `Types: deb
URIs: ${mirror.security}
Suites: ${secured.map((name) => `${name}-security`).join(" ")}
${keys}`
    );
  return stanzas.join("\n");
}
async function aptOptions() {
  const names = [
    "Acquire::http::Proxy",
    "Acquire::https::Proxy",
    "Acquire::Check-Valid-Until",
    "Acquire::Check-Date"
  ];
  const dump = await runTool(["apt-config", "dump", ...names]).catch(() => "");
  return dump.split("\n").filter((line2) => /^Acquire::[A-Za-z:-]+ ".+";$/.test(line2));
}
function words(text) {
  return text.split(/\s+/).filter((word) => word !== "");
}

// qcow2/src/lab/debian/package.ts
var LISTS_FRESH_MS = 24 * 3600 * 1e3;
async function fetchPackages(query, log, signal) {
  return withState(query, log, async (state) => {
    try {
      return await download(state, query.names, query.dependencies ?? false, log, signal);
    } catch (error) {
      if (signal?.aborted || state.updated) throw error;
      await update(state, log, signal);
      return download(state, query.names, query.dependencies ?? false, log, signal);
    }
  });
}
async function newestKernel(query, log) {
  return withState(query, log, async (state) => {
    const names = await apt(state, "apt-cache", [
      "pkgnames",
      query.line === "" ? "linux-image-" : `linux-image-${query.line}.`
    ]);
    const releases = names.split("\n").map((name) => name.slice("linux-image-".length)).filter((release2) => isOfFlavour(release2, query.flavour)).sort((a, b2) => a.localeCompare(b2, "en", { numeric: true }));
    const release = releases.at(-1);
    if (!release)
      throw new FleetError({
        code: "E_USAGE",
        message: `${query.suite} has no kernel ${query.line}.* of the flavour ${query.flavour}`
      });
    const image2 = `linux-image-${release}`;
    const version = (await candidates(state, [image2])).get(image2) ?? "";
    return { release, image: image2, headers: `linux-headers-${release}`, version };
  });
}
function isOfFlavour(release, flavour2) {
  const match = /^\d+\.\d+(?:\.\d+)?(?:\+[a-z0-9.~+]+)?(?:-\d[a-z0-9.~]*)*-([a-z].*)$/.exec(release);
  return match?.[1] === flavour2;
}
async function withState(query, log, work) {
  const mirror = await findMirror();
  const sources = sourcesFor(mirror, query.suite, query.extraSuites);
  const folder = join4(cacheFolder(), "apt", createHash("sha256").update(sources).digest("hex").slice(0, 16));
  const state = {
    folder,
    archives: join4(cacheFolder(), "debs"),
    suite: query.suite,
    updated: false
  };
  return withLock(join4(folder, "lock"), log, async () => {
    for (const sub of [
      "etc/apt.conf.d",
      "etc/preferences.d",
      "etc/trusted.gpg.d",
      "lists/partial",
      "cache/archives/partial"
    ])
      await mkdir2(join4(folder, sub), { recursive: true });
    await mkdir2(state.archives, { recursive: true });
    await writeFile(join4(folder, "status"), "");
    await writeFile(join4(folder, "etc/mirror.sources"), sources);
    await writeFile(join4(folder, "apt.conf"), aptConf(folder, mirror.aptOptions));
    const age = await stat(join4(folder, "updated")).then(
      (found) => Date.now() - found.mtimeMs,
      () => Number.POSITIVE_INFINITY
    );
    if (age > LISTS_FRESH_MS) await update(state, log);
    return work(state);
  });
}
function aptConf(folder, options) {
  return `${[
    ...options,
    // Without this apt would read the machine's own sources, keys and state.
    `Dir::Etc "${folder}/etc";`,
    `Dir::Etc::sourcelist "${folder}/etc/mirror.sources";`,
    `Dir::Etc::sourceparts "-";`,
    `Dir::State "${folder}";`,
    `Dir::State::lists "${folder}/lists";`,
    `Dir::State::status "${folder}/status";`,
    `Dir::Cache "${folder}/cache";`,
    'APT::Sandbox::User "root";',
    'APT::Install-Recommends "false";',
    'APT::Get::Assume-Yes "true";',
    'Acquire::Languages "none";',
    'Debug::NoLocking "true";'
  ].join("\n")}
`;
}
async function update(state, log, signal) {
  log(`fetching the package lists of ${state.suite}`);
  await apt(state, "apt-get", ["update", "--error-on=any"], log, signal);
  await writeFile(join4(state.folder, "updated"), "");
  state.updated = true;
}
async function download(state, names, dependencies, log, signal) {
  const target = state.suite.endsWith("-backports") ? ["-t", state.suite] : [];
  const wanted = dependencies ? await closure(state, target, names) : [...names];
  const versions = await candidates(state, wanted, target);
  const unknown = wanted.filter((name) => !versions.has(name));
  if (unknown.length > 0)
    throw new FleetError({ code: "E_STEP", message: `${state.suite} has no package ${unknown.join(", ")}` });
  const found = [];
  const missing = [];
  for (const name of wanted) {
    const version = versions.get(name);
    const file = await findDeb(state.archives, name, version);
    if (file) found.push({ name, version, file });
    else missing.push(name);
  }
  if (missing.length === 0) return found;
  const work = join4(state.archives, `partial-${process.pid}`);
  await mkdir2(work, { recursive: true });
  try {
    log(`downloading ${missing.join(" ")}`);
    const pinned = missing.map((name) => `${name}=${versions.get(name)}`);
    await apt(state, "apt-get", ["download", ...pinned], log, signal, work);
    for (const file of await readdir2(work)) await rename(join4(work, file), join4(state.archives, file));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  for (const name of missing) {
    const version = versions.get(name);
    const file = await findDeb(state.archives, name, version);
    if (!file)
      throw new FleetError({ code: "E_STEP", message: `apt downloaded no file for ${name} ${version}` });
    found.push({ name, version, file });
  }
  return wanted.map((name) => found.find((one) => one.name === name));
}
async function closure(state, target, names) {
  const plan = await apt(state, "apt-get", [...target, "--simulate", "install", ...names]);
  return plan.split("\n").flatMap((line2) => /^Inst (\S+) /.exec(line2)?.[1]?.replace(/:[a-z0-9]+$/, "") ?? []);
}
async function candidates(state, names, target = []) {
  const text = await apt(state, "apt-cache", [...target, "policy", ...names]);
  const versions = /* @__PURE__ */ new Map();
  let name = "";
  for (const line2 of text.split("\n")) {
    name = /^(\S+):$/.exec(line2)?.[1] ?? name;
    const version = /^ {2}Candidate: (\S+)$/.exec(line2)?.[1];
    if (version && version !== "(none)") versions.set(name, version);
  }
  return versions;
}
async function findDeb(archives, name, version) {
  const start = `${name}_${version.replaceAll(":", "%3a")}_`;
  const file = (await readdir2(archives)).find((entry) => entry.startsWith(start) && entry.endsWith(".deb"));
  return file ? join4(archives, file) : void 0;
}
async function apt(state, program, args, log, signal, cwd) {
  return runTool([program, "-q", ...args], {
    env: { APT_CONFIG: join4(state.folder, "apt.conf") },
    ...log ? { log } : {},
    ...signal ? { signal } : {},
    ...cwd ? { cwd } : {}
  });
}

// qcow2/src/lab/debian/root.ts
import { createHash as createHash2 } from "node:crypto";
import { chmod, mkdir as mkdir3, readdir as readdir3, rename as rename2, rm as rm2, stat as stat2, writeFile as writeFile2 } from "node:fs/promises";
import { dirname as dirname2, join as join5 } from "node:path";

// qcow2/src/lib/shell.ts
function shellQuote(word) {
  if (word.includes("\0")) throw new RangeError("a shell word can not hold a NUL byte");
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

// qcow2/src/lab/debian/root.ts
var FORMAT = 1;
async function buildRoot(spec, log, signal) {
  const key = rootKey(spec);
  const roots = join5(cacheFolder(), "roots");
  const target = join5(roots, key);
  if (await exists(target)) return target;
  return withLock(join5(roots, `${key}.lock`), log, async () => {
    if (await exists(target)) return target;
    await removeLeftovers(roots, key);
    const work = join5(roots, `${key}.partial-${process.pid}`);
    try {
      await mkdir3(work, { recursive: true });
      await makeRoot(spec, work, log, signal);
      await rename2(join5(work, "root"), target);
    } finally {
      await removeTree(work);
    }
    return target;
  });
}
function rootKey(spec) {
  const text = JSON.stringify([
    FORMAT,
    spec.suite,
    spec.extraSuites ?? [],
    [...spec.include].sort(),
    spec.setup ?? "",
    Object.entries(spec.setupFiles ?? {}).sort(([a], [b2]) => a < b2 ? -1 : 1),
    ...spec.keepLists ? ["lists"] : []
  ]);
  return `${spec.suite}-${createHash2("sha256").update(text).digest("hex").slice(0, 16)}`;
}
async function removeTree(path) {
  if (process.getuid?.() === 0) await rm2(path, { recursive: true, force: true });
  else if (await exists(path)) await runTool(await asRoot(["rm", "-rf", "--one-file-system", "--", path]));
}
async function makeRoot(spec, work, log, signal) {
  const mirror = await findMirror();
  const sources = join5(work, "mirror.sources");
  await writeFile2(sources, sourcesFor(mirror, spec.suite, spec.extraSuites));
  const files = join5(work, "files");
  await mkdir3(files);
  for (const [path, text] of Object.entries(spec.setupFiles ?? {})) {
    await mkdir3(join5(files, dirname2(path)), { recursive: true });
    await writeFile2(join5(files, path), text);
  }
  await writeFile2(join5(work, "setup"), spec.setup ?? ":");
  const hook = join5(work, "hook");
  const here = shellQuote(work);
  await writeFile2(
    hook,
    `#!/bin/sh
set -eu
cp -rT --no-preserve=ownership ${here}/files "$1"
chroot "$1" /bin/sh -eu < ${here}/setup
`
  );
  await chmod(hook, 493);
  const options = [...mirror.aptOptions, 'Acquire::Languages "none";', 'APT::Install-Recommends "false";'];
  const release = spec.suite.replace(/-(?:backports|updates|security)$/, "");
  log(`making a Debian root of ${release} with ${spec.include.length} packages`);
  await runTool(
    await asRoot([
      // However we end, nothing of it goes on alone or stays: its processes are a namespace that ends with its first one,
      // and so do the mounts that it makes in the root.
      ...[
        "setpriv",
        "--pdeathsig",
        "KILL",
        "--",
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--"
      ],
      "mmdebstrap",
      "--mode=root",
      "--variant=minbase",
      // Each package that is unpacked or set up is a line.
      "--verbose",
      "--format=directory",
      ...options.map((option) => `--aptopt=${option}`),
      ...spec.keepLists ? ["--skip=cleanup/apt"] : [],
      ...spec.include.length > 0 ? [`--include=${spec.include.join(",")}`] : [],
      `--customize-hook=${hook}`,
      release,
      join5(work, "root"),
      sources
    ]),
    {
      log,
      ...signal ? { signal } : {},
      hint: "mmdebstrap unpacks Debian packages as root: it needs the mirror, mount and chroot, and room in the cache"
    }
  );
}
async function removeLeftovers(roots, key) {
  for (const name of await readdir3(roots))
    if (name.startsWith(`${key}.partial-`)) await removeTree(join5(roots, name));
}
async function exists(path) {
  return stat2(path).then(
    () => true,
    () => false
  );
}

// qcow2/test/kernel/build.ts
import { createHash as createHash3 } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync as readFileSync2,
  renameSync,
  rmSync as rmSync2,
  statSync
} from "node:fs";
import { basename, join as join7, relative } from "node:path";
import { fileURLToPath } from "node:url";

// qcow2/test/kernel/namespace.ts
import { join as join6 } from "node:path";
function inRoot(root, mounts, script) {
  const binds = Object.entries(mounts).map(
    ([inside, outside2]) => `mount --bind ${shellQuote(outside2)} ${shellQuote(join6(root, inside))}`
  );
  const outside = [
    "set -e",
    ...binds,
    // objtool of newer kernels reads it.
    `mount -t proc proc ${shellQuote(join6(root, "proc"))}`,
    `exec chroot ${shellQuote(root)} /bin/sh -c ${shellQuote(script)}`
  ].join("\n");
  const command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", outside];
  const env = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/root"];
  return [...process.getuid?.() === 0 ? [] : ["sudo", "-n"], ...env, ...command];
}

// qcow2/test/kernel/build.ts
var kmod = fileURLToPath(new URL("../../kmod", import.meta.url));
var BUILD_MS = 15 * 6e4;
var RECIPE = "3";
async function buildSource(module, target, cache) {
  const { release } = target;
  const folder = join7(cache, `${release}-${buildKey(module, target)}`);
  const cached = existsSync(folder);
  if (!cached) await build(module, target, folder);
  const log = readFileSync2(join7(folder, "build.log"), "utf8");
  return {
    release,
    module: readFileSync2(join7(folder, `${module.name}.ko`)),
    programs: new Map(module.programs.map(({ name }) => [name, readFileSync2(join7(folder, name))])),
    warnings: warningsOf(log),
    cached
  };
}
async function build(module, target, folder) {
  const partial = `${folder}.partial-${process.pid}`;
  rmSync2(partial, { recursive: true, force: true });
  mkdirSync(join7(partial, "source"), { recursive: true });
  const source = join7(kmod, module.name);
  for (const path of sourceFiles(module)) {
    mkdirSync(join7(partial, "source", path, ".."), { recursive: true });
    cpSync(join7(source, path), join7(partial, "source", path));
  }
  const log = join7(partial, "build.log");
  const ended = await runLogged(buildCommand(module, target, partial), { output: log, timeoutMs: BUILD_MS });
  if (ended.code !== 0) {
    const tail = readFileSync2(log, "utf8").split("\n").slice(-30).join("\n");
    rmSync2(partial, { recursive: true, force: true });
    throw new Error(`${module.name} does not build for ${target.release}: ${JSON.stringify(ended)}
${tail}`);
  }
  rmSync2(join7(partial, "source"), { recursive: true });
  rmSync2(folder, { recursive: true, force: true });
  renameSync(partial, folder);
}
function buildCommand({ name, programs }, { root, release, tree }, work) {
  const headers = tree === void 0 ? `/lib/modules/${release}/build` : "/usr/src";
  const script = [
    "set -e",
    "cd /mnt/source",
    `make -C ${headers} M=/mnt/source W=1 modules`,
    ...programs.map(({ folder }) => `make -C ${folder} STATIC=1 O=/mnt/${folder}`),
    `cp ${[`${name}.ko`, ...programs.map((one) => `/mnt/${one.folder}/${one.name}`)].join(" ")} /mnt/`
  ].join("\n");
  return inRoot(root, { "/mnt": work, ...tree === void 0 ? {} : { "/usr/src": tree } }, script);
}
function warningsOf(log) {
  return log.split("\n").filter((line2) => /\bwarning:/i.test(line2)).filter((line2) => !/the compiler differs from the one used to build the kernel/.test(line2));
}
function buildKey(module, { root, release, tree = "" }) {
  const hash = createHash3("sha256").update(`${RECIPE}\0${release}\0${basename(tree)}\0`);
  hash.update(readFileSync2(join7(root, "var/lib/dpkg/status")));
  for (const path of sourceFiles(module))
    hash.update(`${path}\0`).update(readFileSync2(join7(kmod, module.name, path)));
  return hash.digest("hex").slice(0, 20);
}
function sourceFiles({ name, programs }) {
  const source = join7(kmod, name);
  const products = ["modules\\.order", ...programs.map((program) => program.name)].join("|");
  const skipped = new RegExp(`(^|/)\\.|\\.(o|ko|mod|mod\\.c|cmd|a|symvers)$|(^|/)(${products})$`);
  const files = (folder) => readdirSync(folder).flatMap((file) => {
    const path = join7(folder, file);
    return statSync(path).isDirectory() ? files(path) : [relative(source, path)];
  });
  return files(source).filter((path) => !skipped.test(path)).sort();
}

// qcow2/test/kernel/image.ts
import { execFileSync as execFileSync2 } from "node:child_process";
import { existsSync as existsSync2, mkdirSync as mkdirSync2, readdirSync as readdirSync2, readFileSync as readFileSync3, renameSync as renameSync2, rmSync as rmSync3 } from "node:fs";
import { basename as basename2, join as join8 } from "node:path";
var KernelImage = class {
  constructor(root, release) {
    this.root = root;
    this.release = release;
    const places = [
      join8(root, "boot", `vmlinuz-${release}`),
      join8(root, "usr/lib/modules", release, "vmlinuz")
    ];
    const vmlinuz = places.find((path) => existsSync2(path));
    if (vmlinuz === void 0) throw new Error(`no kernel ${release} in ${root}`);
    this.vmlinuz = vmlinuz;
    for (const lib of ["lib", "usr/lib"]) {
      const folder = join8(root, lib, "modules", this.release, "kernel");
      if (!existsSync2(folder)) continue;
      for (const path of readdirSync2(folder, { recursive: true, encoding: "utf8" }))
        if (/\.ko(\.(xz|zst|gz))?$/.test(path)) this.paths.set(moduleName(path), join8(folder, path));
    }
  }
  root;
  release;
  vmlinuz;
  paths = /* @__PURE__ */ new Map();
  /** Whether there is a module of that name; what is built into the kernel has none. */
  hasModule(name) {
    return this.paths.has(name);
  }
  /**
   * The named modules and all they depend on, in an order in which insmod loads them.
   * @throws Error for a module that the kernel does not have
   */
  resolveModules(names) {
    const found = /* @__PURE__ */ new Map();
    const visit = (name) => {
      if (found.has(name)) return;
      const path = this.paths.get(name);
      if (path === void 0) throw new Error(`kernel ${this.release} has no module ${name}`);
      const data = readModule(path);
      for (const needed of dependsOf(data)) visit(needed);
      found.set(name, { name, data: () => data });
    };
    for (const name of names) visit(name);
    return [...found.values()];
  }
};
function unpackKernel(debs, folder, release) {
  if (!existsSync2(folder)) {
    const partial = `${folder}.partial-${process.pid}`;
    rmSync3(partial, { recursive: true, force: true });
    mkdirSync2(partial, { recursive: true });
    for (const deb of debs) execFileSync2("dpkg-deb", ["--extract", deb, partial]);
    new KernelImage(partial, release);
    renameSync2(partial, folder);
  }
  return new KernelImage(folder, release);
}
function partsOfImage(deb, release) {
  const depends = execFileSync2("dpkg-deb", ["--field", deb, "Depends"], { encoding: "utf8" });
  return ["linux-binary", "linux-modules"].map((name) => `${name}-${release}`).filter((name) => depends.split(/[,|\s]+/).includes(name));
}
function moduleName(path) {
  return basename2(path).replace(/\.ko(\.\w+)?$/, "").replaceAll("-", "_");
}
function readModule(path) {
  const decompress = { ".xz": "xz", ".zst": "zstd", ".gz": "gzip" }[/\.(xz|zst|gz)$/.exec(path)?.[0] ?? ""];
  if (decompress === void 0) return readFileSync3(path);
  return execFileSync2(decompress, ["-dc", path], { maxBuffer: 64 * 1024 * 1024 });
}
function dependsOf(module) {
  const at = module.indexOf("\0depends=");
  if (at < 0) return [];
  const start = at + "\0depends=".length;
  const list = module.toString("latin1", start, module.indexOf(0, start));
  return list.split(",").filter(Boolean).map((name) => name.replaceAll("-", "_"));
}

// qcow2/test/kernel/prepare.ts
async function prepareModule(module, line2, log) {
  const { image: image2, target } = await prepareKernel(line2, log);
  return { image: image2, built: await buildSource(module, target, join9(cacheFolder(), "builds", module.name)) };
}
async function prepareKernel({ line: line2, suite, tools = [] }, log) {
  const kernel = await newestKernel({ suite, flavour, line: line2 }, log);
  const [image2] = await fetchPackages({ suite, names: [kernel.image] }, log);
  const parts = partsOfImage(image2.file, kernel.release);
  const fetched = parts.length > 0 ? await fetchPackages({ suite, names: parts }, log) : [];
  const unpacked = unpackKernel(
    [image2, ...fetched].map((deb) => deb.file),
    join9(cacheFolder(), "kernels", `${kernel.image}_${kernel.version}`),
    kernel.release
  );
  const include = ["gcc", "libc6-dev", "make", ...tools, kernel.headers];
  const root = await buildRoot({ suite, include }, log);
  return { image: unpacked, target: { root, release: kernel.release } };
}

// qcow2/test/kernel/run-checks.ts
var MIB = 1024 * 1024;
var accountedBytes = 4 * (MIB + MIB + 2 * 4096) + 2 * MIB;
var EXT4_IMAGE = "ext4.gz";
var slow = "irqmode=2 completion_nsec=3000000 hw_queue_depth=16 discard=1";
var long = process.env.BLKFLEET_TEST_FULL === "1";
var runs = [
  { name: "features", options: "--features" },
  { name: "quick", options: "--quick --record" },
  { name: "recorded", options: "--recorded" },
  { name: "full", options: "--full" },
  { name: "hostile", options: "--hostile" },
  { name: "matrix", options: `--matrix ${long ? "--long 4" : ""}` },
  { name: "model", options: `--model ${long ? "--long 20" : ""}` },
  { name: "lifecycle", options: "--lifecycle" },
  // A disk that takes its time: requests really are in flight when the queue stops or the owner dies.
  { name: "slow disk", options: "--quick --device /dev/nullb0", before: makeDisk("nullb0", slow) },
  { name: "slow disk, stopped", options: "--lifecycle --only flight --device /dev/nullb0" },
  // The time goes to the module then, and not to the disk.
  {
    name: "fuzz",
    options: `--fuzz ${long ? "--long 6" : ""} --device /dev/nullb1`,
    before: makeDisk("nullb1", "irqmode=1")
  },
  {
    name: "blocks of 4096 bytes",
    options: `${long ? "--full" : "--quick"} --device /dev/nullb2`,
    before: makeDisk("nullb2", "blocksize=4096 discard=1")
  },
  {
    name: "file on tmpfs",
    options: `--quick --matrix --model ${long ? "--long 4" : ""} --file /tmp`,
    backend: "file backend"
  },
  {
    name: "file on ext4",
    options: `--full ${long ? "--hostile --lifecycle" : ""} --file /ext4`,
    before: mountExt4(),
    after: "umount /ext4",
    backend: "file backend"
  },
  // A worker's I/O is the owner's for the controller of cgroup 2, which workers themselves are not in.
  {
    name: "cgroup",
    options: '--only "write 65536 x 16 segments" --device /dev/nullb0',
    before: enterCgroup(),
    after: leaveCgroup()
  }
];
function makeDisk(name, settings) {
  return `disk=/sys/kernel/config/nullb/${name}
mkdir $disk
for setting in memory_backed=1 size=64 blocksize=512 ${settings} power=1; do
	echo "\${setting#*=}" >"$disk/\${setting%%=*}"
done`;
}
function mountExt4() {
  return `zcat /${EXT4_IMAGE} >/tmp/ext4.image
mkdir /ext4
mount -t ext4 -o loop /tmp/ext4.image /ext4`;
}
function enterCgroup() {
  return `mkdir /cgroup
mount -t cgroup2 cgroup2 /cgroup
echo +io >/cgroup/cgroup.subtree_control
mkdir /cgroup/vm
echo $$ >/cgroup/vm/cgroup.procs`;
}
function leaveCgroup() {
  return `echo $$ >/cgroup/cgroup.procs
echo "@@accounted $(sed -n 's/.* wbytes=\\([0-9]*\\).*/\\1/p' /cgroup/vm/io.stat)"`;
}
var runNames = runs.map((run) => run.name);
var scratchRuns = runs.filter((run) => !/--(device|file)/.test(run.options)).map((run) => run.name);

// qcow2/test/kernel/qcow2-guest.ts
var dmQcow2 = {
  name: "dm_qcow2",
  programs: [
    { folder: "tool", name: "blkfleet-qcow2" },
    { folder: "exercise", name: "qcow2-exercise" }
  ]
};
function qcow2Files(built2) {
  const programs = [...built2.programs].map(([name, data]) => ({ path: `sbin/${name}`, data, mode: 493 }));
  return [{ path: "dm_qcow2.ko", data: built2.module }, ...programs];
}
var START = "dm_qcow2-test: begin";
function qcow2Modules(kernel) {
  const wanted = ["virtio_pci", "virtio_blk", "dm_mod", "crc32c_generic", "ext4"];
  return wanted.filter((name) => kernel.hasModule(name));
}
function qcow2Script(steps2) {
  return `echo '<6>${START}' >/dev/kmsg
mkdir -p /images
mount -t ext4 /dev/vda /images || exit 1
insmod /dm_qcow2.ko || exit 1
${steps2}
rmmod dm_qcow2 && echo "@@unloaded"
umount /images
exit 0
`;
}

// qcow2/test/kernel/qcow2-images.ts
import { execFileSync as execFileSync3 } from "node:child_process";
import { createHash as createHash4 } from "node:crypto";
import { mkdirSync as mkdirSync3, readFileSync as readFileSync4, rmSync as rmSync4, statSync as statSync2, truncateSync, writeFileSync as writeFileSync2 } from "node:fs";
import { join as join10 } from "node:path";
var SIZE_MIB = 6;
var clusters = ["512", "4k", "64k", "2M"].map((size) => ({
  name: `cluster-${size}`,
  options: `cluster_size=${size}`
}));
var compressed = [
  ["zlib", "512"],
  ["zlib", "64k"],
  ["zlib", "2M"],
  ["zstd", "4k"],
  ["zstd", "64k"],
  ["zstd", "2M"]
].map(([type, size]) => ({
  name: `${type}-${size}`,
  steps: [
    `qemu-img convert -c -f raw -O qcow2 -o compression_type=${type},cluster_size=${size} pattern.raw IMAGE`,
    // Among compressed clusters, some that are not.
    'qemu-io -c "write -P 0x5a 1000448 70144" IMAGE'
  ]
}));
var recipes = [
  ...clusters,
  ...compressed,
  { name: "version-2", options: "compat=0.10" },
  { name: "refcount-1", options: "refcount_bits=1" },
  { name: "refcount-64", options: "refcount_bits=64,cluster_size=4k" },
  { name: "lazy", options: "lazy_refcounts=on" },
  { name: "preallocated", options: "preallocation=metadata" },
  { name: "fallocated", options: "preallocation=falloc,cluster_size=32k" },
  { name: "odd-size", options: "cluster_size=64k", steps: ["qemu-img resize -q IMAGE 6292992"] },
  { name: "subclusters-16k", options: "extended_l2=on,cluster_size=16k" },
  { name: "subclusters-128k", options: "extended_l2=on,cluster_size=128k" },
  { name: "subclusters-2M", options: "extended_l2=on,cluster_size=2M" },
  {
    name: "subclusters-zlib",
    options: "extended_l2=on,cluster_size=64k",
    seed: 0,
    io: [
      "write -c -P 0x31 1M 64k",
      "write -P 0x32 1114112 2048",
      "write -c -P 0x33 2M 64k",
      "write -P 0x34 2100k 512"
    ]
  },
  {
    name: "zeros",
    options: "cluster_size=16k",
    io: ["write -z 1M 300k", "write -z -u 2M 300k", "discard 3M 300k", "write -P 7 1100k 3k"]
  },
  {
    name: "snapshots",
    options: "cluster_size=4k",
    steps: [
      "qemu-img snapshot -c one IMAGE",
      'qemu-io -c "write -P 0x41 0 777k" -c "write -z 2M 100k" IMAGE',
      "qemu-img snapshot -c two IMAGE",
      'qemu-io -c "write -P 0x42 300k 1M" IMAGE'
    ]
  },
  { name: "bitmaps", options: "cluster_size=64k", steps: ["qemu-img bitmap --add IMAGE dirty"] },
  { name: "data-file", options: "data_file=data-file.data" },
  { name: "data-file-raw", options: "data_file=data-file-raw.data,data_file_raw=on,cluster_size=4k" },
  { name: "data-file-subclusters", options: "data_file=data-sub.data,extended_l2=on,cluster_size=16k" },
  { name: "over-raw", options: "cluster_size=64k", backing: "-b pattern.raw -F raw", seed: 2 },
  { name: "over-odd-raw", options: "cluster_size=4k", backing: "-b odd.raw -F raw", seed: 3 },
  {
    name: "over-longer",
    options: "cluster_size=4k",
    backing: "-b cluster-64k.qcow2 -F qcow2",
    mebibytes: 4,
    seed: 4
  },
  {
    name: "over-shorter",
    options: "cluster_size=2M",
    backing: "-b over-longer.qcow2 -F qcow2",
    mebibytes: 9,
    seed: 5,
    io: ["write -z 5M 1M"]
  },
  {
    name: "over-512",
    options: "cluster_size=512",
    backing: "-b over-shorter.qcow2 -F qcow2",
    mebibytes: 8,
    seed: 6
  },
  { name: "over-packed", options: "cluster_size=64k", backing: "-b zstd-64k.qcow2 -F qcow2", seed: 7 },
  {
    name: "subclusters-over-packed",
    options: "extended_l2=on,cluster_size=128k",
    backing: "-b over-packed.qcow2 -F qcow2",
    mebibytes: 8,
    seed: 8,
    io: ["write -z 1M 12k", "discard 2M 128k"]
  },
  { name: "over-data-file", options: "cluster_size=16k", backing: "-b data-file.qcow2 -F qcow2", seed: 9 },
  { name: "empty", options: "cluster_size=64k", mebibytes: 64, seed: 0 }
];
function pseudoRandom(seed) {
  let state = seed * 2654435761 + 12345 >>> 0;
  return (below) => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % below;
  };
}
function pattern(bytes) {
  const data = Buffer.alloc(bytes);
  const next = pseudoRandom(1);
  for (let at = 0; at < bytes; ) {
    const length = Math.min(bytes - at, 512 * (1 + next(200)));
    const kind = next(3);
    if (kind === 1) data.fill(`line ${next(1e3)} of ${at}
`, at, at + length);
    if (kind === 2) for (let i = at; i < at + length; i++) data[i] = next(256);
    at += length;
  }
  return data;
}
function writesOf(seed, bytes) {
  const next = pseudoRandom(seed + 100);
  return Array.from({ length: seed === 0 ? 0 : 40 }, () => {
    const sectors = 1 + (next(4) === 0 ? next(600) : next(20));
    const at = next(bytes / 512 - sectors) * 512;
    return `write -P ${1 + next(255)} ${at} ${sectors * 512}`;
  });
}
function make(folder, recipe) {
  const file = `${recipe.name}.qcow2`;
  const run = (command) => execFileSync3("sh", ["-c", command.replaceAll("IMAGE", file)], { cwd: folder, stdio: "pipe" });
  const bytes = (recipe.mebibytes ?? SIZE_MIB) * 1024 * 1024;
  if (recipe.options !== void 0) {
    run(`qemu-img create -q -f qcow2 -o ${recipe.options} ${recipe.backing ?? ""} IMAGE ${bytes}`);
    const commands = [...writesOf(recipe.seed ?? 1, bytes), ...recipe.io ?? []];
    execFileSync3("qemu-io", ["-t", "unsafe", "-f", "qcow2", file], {
      cwd: folder,
      input: `${commands.join("\n")}
`,
      stdio: "pipe"
    });
  }
  for (const step of recipe.steps ?? []) run(step);
  run("qemu-img convert -f qcow2 -O raw IMAGE expected.raw");
  const expected = readFileSync4(join10(folder, "expected.raw"));
  rmSync4(join10(folder, "expected.raw"));
  return {
    name: recipe.name,
    file,
    bytes: expected.length,
    sha256: createHash4("sha256").update(expected).digest("hex")
  };
}
function makeImages(folder) {
  writeFileSync2(join10(folder, "pattern.raw"), pattern(SIZE_MIB * 1024 * 1024));
  writeFileSync2(join10(folder, "odd.raw"), pattern(2000123));
  return recipes.map((recipe) => make(folder, recipe));
}
function ext4Disk(folder, file, free) {
  const used = Number(execFileSync3("du", ["-s", "-B1", folder], { encoding: "utf8" }).split("	")[0]);
  writeFileSync2(file, "");
  truncateSync(file, Math.ceil((used * 1.1 + free) / 4096 + 4096) * 4096);
  const path = `${process.env.PATH ?? ""}:/usr/sbin:/sbin`;
  execFileSync3("mke2fs", ["-q", "-F", "-t", "ext4", "-b", "4096", "-d", folder, file], {
    env: { ...process.env, PATH: path }
  });
  if (statSync2(file).size === 0) throw new Error("mke2fs made nothing");
}
function extractDisk(file, folder) {
  mkdirSync3(folder);
  const path = `${process.env.PATH ?? ""}:/usr/sbin:/sbin`;
  execFileSync3("debugfs", ["-R", `rdump / ${folder}`, file], {
    env: { ...process.env, PATH: path },
    stdio: "pipe"
  });
}

// smoke.ts
var [lineName, mode, filter = ".", rounds = "2", ops = "40"] = process.argv.slice(2);
var line = kernelLines.find((l) => l.line === lineName);
var base = "/tmp/t/h/smoke-images";
if (!existsSync3(base + "/list.json")) {
  rmSync5(base, { recursive: true, force: true });
  mkdirSync4(base + "/images", { recursive: true });
  writeFileSync3(base + "/list.json", JSON.stringify(makeImages(base + "/images")));
}
var all = JSON.parse(readFileSync5(base + "/list.json", "utf8"));
var images = all.filter((i) => new RegExp(filter).test(i.name) && (mode === "read" || !/^data-/.test(i.name)));
var { image, built } = await prepareModule(dmQcow2, line, console.log);
console.log("warnings", built.warnings);
var disk = `/tmp/t/h/smoke-${lineName}.ext4`;
ext4Disk(base + "/images", disk, mode === "read" ? 0 : 400 << 20);
var steps = (mode === "read" ? images : [...images].reverse()).map((i, n) => mode === "read" ? `echo "@@image ${i.name}"
if blkfleet-qcow2 attach /images/${i.file} --ro --name t >/dev/null; then
	sha256sum </dev/mapper/t | grep -q ${i.sha256} && echo buffered ok
	dd if=/dev/mapper/t bs=37k iflag=direct 2>/dev/null | sha256sum | grep -q ${i.sha256} && echo direct ok
	blkfleet-qcow2 status t
	blkfleet-qcow2 detach t
fi` : `echo "@@image ${i.name}"
if blkfleet-qcow2 attach /images/${i.file} --name t >/dev/null; then
	qcow2-exercise /dev/mapper/t /images/${i.name}.model ${n + 1} ${rounds} ${ops} 4 && echo same
	blkfleet-qcow2 status t
	blkfleet-qcow2 detach t && echo detached
fi`).join("\n");
var r = await bootKernel({ kernel: image, modules: qcow2Modules(image), files: qcow2Files(built), script: qcow2Script(steps), disks: [disk], append: line.debug, timeoutMs: 6e5 });
console.log(r.output);
console.log("exit", r.exit, "seconds", r.seconds, r.timedOut);
var c = r.console.split("\n");
var b = c.findIndex((l) => l.includes("dm_qcow2-test"));
console.log(c.slice(b).slice(-80).join("\n"));
if (mode !== "read") {
  rmSync5("/tmp/t/h/smoke-back", { recursive: true, force: true });
  extractDisk(disk, "/tmp/t/h/smoke-back");
  for (const i of images) {
    copyFileSync("/tmp/t/h/smoke-back/" + i.file, base + "/images/written.qcow2");
    const q = (...a) => spawnSync("qemu-img", a, { cwd: base + "/images", encoding: "utf8" });
    const k = q("check", "-f", "qcow2", "written.qcow2");
    const m = q("compare", "-f", "qcow2", "-F", "raw", "written.qcow2", `/tmp/t/h/smoke-back/${i.name}.model`);
    console.log(i.name, k.status, m.status, k.status ? k.stdout.slice(0, 600) + k.stderr.slice(0, 600) : "", m.status ? m.stdout + m.stderr : "");
  }
}
