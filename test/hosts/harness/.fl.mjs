// test/hosts/harness/fleet.ts
import { spawn as spawn3, spawnSync } from "node:child_process";
import { existsSync as existsSync2, mkdirSync as mkdirSync3, mkdtempSync as mkdtempSync2, readFileSync as readFileSync2, rmSync as rmSync2, writeFileSync as writeFileSync3 } from "node:fs";
import { tmpdir } from "node:os";
import { join as join7 } from "node:path";
import { createInterface as createInterface3 } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

// test/hosts/harness/layers.ts
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

// test/hosts/harness/openssh-key.ts
import { generateKeyPairSync, randomBytes } from "node:crypto";
function makeOpensshKey() {
  const jwk = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  const seed = Buffer.from(jwk.d ?? "", "base64url");
  const point = Buffer.from(jwk.x ?? "", "base64url");
  const type = field("ssh-ed25519");
  const publicBlob = Buffer.concat([type, field(point)]);
  const check = randomBytes(4);
  const secret = [check, check, type, field(point), field(Buffer.concat([seed, point])), field("test")];
  const length = secret.reduce((sum, part) => sum + part.length, 0);
  for (let i = 1; (length + i - 1) % 8 !== 0; i++) secret.push(Buffer.from([i]));
  const blob = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    field("none"),
    field("none"),
    field(""),
    uint32(1),
    field(publicBlob),
    field(Buffer.concat(secret))
  ]);
  const lines = blob.toString("base64").match(/.{1,70}/g) ?? [];
  return {
    privateKey: `-----BEGIN OPENSSH PRIVATE KEY-----
${lines.join("\n")}
-----END OPENSSH PRIVATE KEY-----
`,
    publicKey: `ssh-ed25519 ${publicBlob.toString("base64")}`
  };
}
function field(content) {
  const bytes = Buffer.from(content);
  return Buffer.concat([uint32(bytes.length), bytes]);
}
function uint32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

// test/hosts/harness/layers.ts
var LOGIN_USER = "deploy";
var passwordHash = "$6$blkfleet$bVtCpSENNaa/wifTNDinh9du75Gjg1J9qG4DZtMPR/P9YmgI9xrSKaqKK7mjc0iLFMThOxrKla71ngya0CC6M1";
var uid = 1e3;
var sshdConfig = `ListenAddress 0.0.0.0
HostKey /etc/ssh/ssh_host_ed25519_key
PidFile none
UsePAM no
UseDNS no
PrintMotd no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 500
LogLevel ERROR
`;
function writeCommonLayer(layer, root, { loginKey, sudo, repository }) {
  const append = (path, line, mode) => put(layer, path, `${readFileSync(join(root, path), "utf8")}${line}
`, mode);
  const hash = sudo === "password" ? passwordHash : "*";
  append("etc/passwd", `${LOGIN_USER}:x:${uid}:${uid}::/home/${LOGIN_USER}:/bin/sh`, 420);
  append("etc/group", `${LOGIN_USER}:x:${uid}:`, 420);
  append("etc/shadow", `${LOGIN_USER}:${hash}:19000:0:99999:7:::`, 416);
  for (const folder of ["", "/.ssh"]) {
    const home = join(layer, `home/${LOGIN_USER}${folder}`);
    mkdirSync(home, { recursive: true, mode: 493 });
    chownSync(home, uid, uid);
    chmodSync(home, 448);
  }
  put(layer, `home/${LOGIN_USER}/.ssh/authorized_keys`, `${loginKey}
`, 384, uid);
  const rights = { nopasswd: "ALL=(ALL) NOPASSWD: ALL", password: "ALL=(ALL) ALL", none: "" }[sudo];
  put(layer, "etc/sudoers.d/deploy", rights ? `${LOGIN_USER} ${rights}
` : "", 288);
  put(layer, "etc/ssh/sshd_config", sshdConfig, 420);
  put(layer, "etc/apt/sources.list", repository ? `deb [trusted=yes] ${repository} ./
` : "", 420);
  for (const name of readdirSync(join(root, "etc/apt/sources.list.d")))
    put(layer, `etc/apt/sources.list.d/${name}`, "", 420);
  put(layer, "etc/apt/apt.conf.d/90hosts", 'APT::Sandbox::User "root";\nAcquire::Languages "none";\n', 420);
  put(layer, "etc/dpkg/dpkg.cfg.d/hosts", "force-unsafe-io\n", 420);
}
function writeHostLayer(layer, name) {
  const key = makeOpensshKey();
  put(layer, "etc/hostname", `${name}
`, 420);
  put(layer, "etc/hosts", `127.0.0.1 localhost ${name}
`, 420);
  put(layer, "etc/ssh/ssh_host_ed25519_key", key.privateKey, 384);
  put(layer, "etc/ssh/ssh_host_ed25519_key.pub", `${key.publicKey}
`, 420);
  return key.publicKey;
}
function put(layer, path, content, mode, owner = 0) {
  const file = join(layer, path);
  mkdirSync(dirname(file), { recursive: true, mode: 493 });
  writeFileSync(file, content);
  chmodSync(file, mode);
  chownSync(file, owner, owner);
}

// test/hosts/harness/root.ts
import { execFileSync } from "node:child_process";
import { createHash as createHash3 } from "node:crypto";
import {
  existsSync,
  linkSync,
  mkdirSync as mkdirSync2,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync as writeFileSync2
} from "node:fs";
import { copyFile, readFile as readFile2 } from "node:fs/promises";
import { basename, join as join6 } from "node:path";

// src/lab/debian/cache.ts
import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname as dirname2, join as join2 } from "node:path";
import { createInterface } from "node:readline";

// src/lib/errors.ts
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

// src/lab/debian/cache.ts
function cacheFolder(env = process.env) {
  if (env.BLKFLEET_CACHE) return env.BLKFLEET_CACHE;
  return join2(env.XDG_CACHE_HOME || join2(homedir(), ".cache"), "blkfleet");
}
async function withLock(file, log, work) {
  await mkdir(dirname2(file), { recursive: true });
  const holder = spawn("flock", ["-x", file, "sh", "-c", "echo held; exec cat"], {
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

// src/lab/debian/package.ts
import { createHash } from "node:crypto";
import { mkdir as mkdir2, readdir as readdir2, rename, rm, stat, writeFile } from "node:fs/promises";
import { join as join4 } from "node:path";

// src/lab/debian/mirror.ts
import { readdir, readFile } from "node:fs/promises";
import { join as join3 } from "node:path";

// src/lab/debian/run.ts
import { spawn as spawn2 } from "node:child_process";
import { createInterface as createInterface2 } from "node:readline";
var LAST_LINES = 15;
async function runTool(argv, options = {}) {
  const [program, ...rest] = argv;
  options.signal?.throwIfAborted();
  const child = spawn2(program, rest, {
    cwd: options.cwd,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, LC_ALL: "C.UTF-8", DEBIAN_FRONTEND: "noninteractive", ...options.env },
    ...options.signal ? { signal: options.signal, killSignal: "SIGTERM" } : {}
  });
  const last = [];
  let stdout = "";
  const take = (line) => {
    if (line.trim() === "") return;
    last.push(line);
    if (last.length > LAST_LINES) last.shift();
    options.log?.(line);
  };
  eachLine(child.stdout, (line) => {
    stdout += `${line}
`;
    take(line);
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
  });
  if (status !== 0)
    throw new FleetError({
      code: "E_STEP",
      message: `${program} failed (${status}):
${last.map((line) => `    ${line}`).join("\n")}`,
      hint: options.hint
    });
  return stdout;
}
function asRoot(argv) {
  return process.getuid?.() === 0 ? [...argv] : ["sudo", "-n", "--", ...argv];
}
function eachLine(stream, take) {
  createInterface2({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on("line", take);
}

// src/lab/debian/mirror.ts
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
  for (const line of text.split("\n")) {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)(?:\s+([^#]*))?/.exec(line);
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
  const plain = text.split("\n").filter((line) => !line.startsWith("#"));
  for (const stanza of plain.join("\n").split(/\n\s*\n/)) {
    const fields = /* @__PURE__ */ new Map();
    let last = "";
    for (const line of stanza.split("\n")) {
      const field2 = /^([A-Za-z-]+):\s*(.*)$/.exec(line);
      if (field2) {
        last = field2[1].toLowerCase();
        fields.set(last, field2[2]);
      } else if (/^\s/.test(line) && last !== "") fields.set(last, `${fields.get(last)}
${line.trim()}`);
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
  const pick = (suite2, path) => {
    const fitting = debian.filter((entry) => entry.suites.some((name) => suite2.test(name)));
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
function sourcesFor(mirror, suite2, extraSuites = []) {
  const release = suite2.replace(/-(?:backports|updates|security|proposed-updates)$/, "");
  const suites = /* @__PURE__ */ new Set([release]);
  if (!["sid", "unstable"].includes(release)) suites.add(`${release}-updates`);
  for (const extra of [suite2, ...extraSuites]) if (!extra.endsWith("-security")) suites.add(extra);
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
  return dump.split("\n").filter((line) => /^Acquire::[A-Za-z:-]+ ".+";$/.test(line));
}
function words(text) {
  return text.split(/\s+/).filter((word) => word !== "");
}

// src/lab/debian/package.ts
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
    const releases = names.split("\n").map((name) => name.slice("linux-image-".length)).filter((release2) => isOfFlavour(release2, query.flavour)).sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    const release = releases.at(-1);
    if (!release)
      throw new FleetError({
        code: "E_USAGE",
        message: `${query.suite} has no kernel ${query.line}.* of the flavour ${query.flavour}`
      });
    const image = `linux-image-${release}`;
    const version = (await candidates(state, [image])).get(image) ?? "";
    return { release, image, headers: `linux-headers-${release}`, version };
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
  return plan.split("\n").flatMap((line) => /^Inst (\S+) /.exec(line)?.[1]?.replace(/:[a-z0-9]+$/, "") ?? []);
}
async function candidates(state, names, target = []) {
  const text = await apt(state, "apt-cache", [...target, "policy", ...names]);
  const versions = /* @__PURE__ */ new Map();
  let name = "";
  for (const line of text.split("\n")) {
    name = /^(\S+):$/.exec(line)?.[1] ?? name;
    const version = /^ {2}Candidate: (\S+)$/.exec(line)?.[1];
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

// src/lab/debian/root.ts
import { createHash as createHash2 } from "node:crypto";
import { chmod, mkdir as mkdir3, readdir as readdir3, rename as rename2, rm as rm2, stat as stat2, writeFile as writeFile2 } from "node:fs/promises";
import { dirname as dirname3, join as join5 } from "node:path";

// src/lib/shell.ts
function shellQuote(word) {
  if (word.includes("\0")) throw new RangeError("a shell word can not hold a NUL byte");
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

// src/lab/debian/root.ts
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
    Object.entries(spec.setupFiles ?? {}).sort(([a], [b]) => a < b ? -1 : 1)
  ]);
  return `${spec.suite}-${createHash2("sha256").update(text).digest("hex").slice(0, 16)}`;
}
async function removeTree(path) {
  if (process.getuid?.() === 0) await rm2(path, { recursive: true, force: true });
  else if (await exists(path)) await runTool(asRoot(["rm", "-rf", "--one-file-system", "--", path]));
}
async function makeRoot(spec, work, log, signal) {
  const mirror = await findMirror();
  const sources = join5(work, "mirror.sources");
  await writeFile2(sources, sourcesFor(mirror, spec.suite, spec.extraSuites));
  const files = join5(work, "files");
  await mkdir3(files);
  for (const [path, text] of Object.entries(spec.setupFiles ?? {})) {
    await mkdir3(join5(files, dirname3(path)), { recursive: true });
    await writeFile2(join5(files, path), text);
  }
  await writeFile2(join5(work, "setup"), spec.setup ?? ":");
  const hook = join5(work, "hook");
  const here2 = shellQuote(work);
  await writeFile2(
    hook,
    `#!/bin/sh
set -eu
cp -rT --no-preserve=ownership ${here2}/files "$1"
chroot "$1" /bin/sh -eu < ${here2}/setup
`
  );
  await chmod(hook, 493);
  const options = [...mirror.aptOptions, 'Acquire::Languages "none";', 'APT::Install-Recommends "false";'];
  const release = spec.suite.replace(/-(?:backports|updates|security)$/, "");
  log(`making a Debian root of ${release} with ${spec.include.length} packages`);
  await runTool(
    asRoot([
      "mmdebstrap",
      "--mode=root",
      "--variant=minbase",
      "--format=directory",
      ...options.map((option) => `--aptopt=${option}`),
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

// test/hosts/harness/root.ts
var suite = "bookworm";
var flavour = "cloud-amd64";
async function hostRoot(log) {
  const kernel = await newestKernel({ suite, flavour, line: "6.1" }, log);
  const include = ["openssh-server", "sudo", "dkms", "gcc", "make", "kmod", kernel.image, kernel.headers];
  return { folder: await buildRoot({ suite, include }, log), kernel: kernel.release };
}
async function packageRepository(names, log) {
  const debs = await fetchPackages({ suite, names }, log);
  const key = createHash3("sha256").update(JSON.stringify(debs.map(({ file }) => basename(file)))).digest("hex");
  const repositories = join6(cacheFolder(), "repositories");
  const folder = join6(repositories, key.slice(0, 16));
  if (existsSync(folder)) return folder;
  mkdirSync2(repositories, { recursive: true });
  const part = mkdtempSync(`${folder}.`);
  try {
    const stanzas = [];
    for (const { file } of debs) {
      const copy = join6(part, basename(file));
      try {
        linkSync(file, copy);
      } catch {
        await copyFile(file, copy);
      }
      stanzas.push(await packagesStanza(copy));
    }
    const index = stanzas.join("\n");
    writeFileSync2(join6(part, "Packages"), index);
    const sum = createHash3("sha256").update(index).digest("hex");
    writeFileSync2(join6(part, "Release"), `SHA256:
 ${sum} ${Buffer.byteLength(index)} Packages
`);
    renameSync(part, folder);
  } catch (error) {
    rmSync(part, { recursive: true, force: true });
    throw error;
  }
  return folder;
}
async function packagesStanza(deb) {
  const control = execFileSync("dpkg-deb", ["-f", deb], { encoding: "utf8" }).trimEnd();
  const sha256 = createHash3("sha256").update(await readFile2(deb)).digest("hex");
  return `${control}
Filename: ./${basename(deb)}
Size: ${statSync(deb).size}
SHA256: ${sha256}
`;
}

// test/hosts/harness/fleet.ts
var batch = 8;
var here = fileURLToPath(new URL(".", import.meta.url));
async function createFleet(options) {
  if (process.getuid?.() !== 0)
    throw new Error("namespace hosts need root: run the tests as root or by sudo");
  const log = options.log ?? ((line) => console.error(line));
  const root = options.root ?? await hostRoot(log);
  const repository = options.packages && await packageRepository(options.packages, log);
  const folder = mkdtempSync2(join7(tmpdir(), "blkfleet-hosts-"));
  for (const name of ["mnt", "log", "layer"]) mkdirSync3(join7(folder, name));
  const login = makeOpensshKey();
  const keyFile = join7(folder, "id");
  writeFileSync3(keyFile, login.privateKey, { mode: 384 });
  writeFileSync3(`${keyFile}.pub`, `${login.publicKey}
`);
  writeCommonLayer(join7(folder, "layer/common"), root.folder, {
    loginKey: login.publicKey,
    sudo: options.sudo ?? "nopasswd",
    repository: repository && "http://10.77.0.1/"
  });
  const width = Math.max(2, String(options.count).length);
  const names = Array.from({ length: options.count }, (_, i) => `hv${String(i + 1).padStart(width, "0")}`);
  const addresses = new Map(
    names.map((name, i) => [name, `10.77.${1 + Math.floor(i / 250)}.${1 + i % 250}`])
  );
  const knownHosts = names.map(
    (name) => `${addresses.get(name)} ${writeHostLayer(join7(folder, "layer", name), name)}
`
  );
  const knownHostsFile = join7(folder, "known_hosts");
  writeFileSync3(knownHostsFile, knownHosts.join(""));
  mkdirSync3(join7(folder, "home/.ssh"), { recursive: true, mode: 448 });
  writeFileSync3(join7(folder, "home/.ssh/known_hosts"), knownHosts.join(""));
  const inventoryFile = join7(folder, "inventory.yaml");
  writeFileSync3(inventoryFile, inventory(addresses, keyFile));
  const supervisor = new Supervisor(folder, root.folder);
  try {
    await supervisor.ready;
    if (repository) await supervisor.serve(repository);
    const hosts = names.map((name) => new NamespaceHost(name, addresses.get(name) ?? "", supervisor));
    const waiting = [...hosts];
    const worker = async () => {
      for (let host = waiting.shift(); host; host = waiting.shift()) await host.start();
    };
    await Promise.all(Array.from({ length: batch }, worker));
    return {
      ...{ hosts, root, folder, inventoryFile, knownHostsFile, keyFile },
      host: (name) => {
        const found = hosts.find((host) => host.name === name);
        if (!found) throw new Error(`no host ${name}`);
        return found;
      },
      inNetwork: (argv) => ["nsenter", [`--net=/proc/${supervisor.pid}/ns/net`, "--", ...argv]],
      destroy: () => supervisor.end()
    };
  } catch (error) {
    await supervisor.end();
    throw error;
  }
}
function inventory(addresses, keyFile) {
  const hosts = [...addresses].map(([name, address]) => `        ${name}: { address: ${address} }
`);
  return `all:
  vars: { user: ${LOGIN_USER}, identity_file: ${keyFile}, become: true }
  children:
    hypervisors:
      hosts:
${hosts.join("")}`;
}
var Supervisor = class {
  folder;
  ready;
  pid = 0;
  child;
  ended;
  waiting = /* @__PURE__ */ new Map();
  stderr = "";
  constructor(folder, root) {
    this.folder = folder;
    this.child = spawn3(
      "unshare",
      [
        ...["--mount", "--net", "--pid", "--fork", "--kill-child=KILL", "--propagation", "private"],
        ...["sh", join7(here, "supervisor.sh"), folder, root]
      ],
      { stdio: ["pipe", "pipe", "pipe"], detached: true, env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } }
    );
    this.child.stdin?.on("error", () => {
    });
    this.child.stderr?.on("data", (text) => {
      this.stderr = `${this.stderr}${text}`.slice(-4e3);
    });
    this.ended = new Promise((resolve) => this.child.once("close", () => resolve()));
    this.ready = Promise.race([
      this.answer("supervisor").then((pid) => {
        this.pid = pid;
      }),
      this.ended.then(() => {
        throw new Error(`the namespaces can not be made: ${this.stderr}`);
      })
    ]);
    createInterface3({ input: this.child.stdout }).on("line", (line) => {
      const [, name = "", pid] = line.split(" ");
      this.waiting.get(name)?.(Number(pid));
    });
  }
  /** Starts a host and waits for its first process; throws with the host's log. */
  async start(name, address) {
    const up = this.answer(name);
    this.child.stdin?.write(`start ${name} ${address}
`);
    return up;
  }
  async serve(folder) {
    const up = this.answer("repository");
    this.child.stdin?.write(`serve ${process.execPath} ${folder}
`);
    await up;
  }
  async end() {
    this.child.stdin?.end();
    const late = sleep(1e4, "late", { ref: false });
    if (await Promise.race([this.ended, late]) === "late") {
      this.child.kill("SIGKILL");
      await this.ended;
    }
    rmSync2(this.folder, { recursive: true, force: true });
  }
  answer(word) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no '${word}' in time: ${this.log(word)}`)), 6e4);
      this.waiting.set(word, (pid) => {
        clearTimeout(timer);
        this.waiting.delete(word);
        resolve(pid);
      });
    });
  }
  log(name) {
    const file = join7(this.folder, "log", name);
    return `${existsSync2(file) ? readFileSync2(file, "utf8") : ""}${this.stderr}`.slice(-2e3);
  }
};
var NamespaceHost = class {
  name;
  address;
  pid = 0;
  supervisor;
  constructor(name, address, supervisor) {
    this.name = name;
    this.address = address;
    this.supervisor = supervisor;
  }
  get root() {
    return `/proc/${this.pid}/root`;
  }
  get upper() {
    return `/proc/${this.supervisor.pid}/root${this.supervisor.folder}/mnt/${this.name}/upper`;
  }
  exec(argv, input = "") {
    const env = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };
    const args = ["-t", String(this.pid), "--all", "--", ...argv];
    const { status, stdout, stderr } = spawnSync("nsenter", args, {
      ...{ input, env, encoding: "utf8", maxBuffer: 64 << 20 }
    });
    return { status, stdout, stderr };
  }
  cpuSeconds() {
    const text = readFileSync2(`/proc/${this.pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
  }
  async start() {
    this.pid = await this.supervisor.start(this.name, this.address);
    const deadline = Date.now() + 3e4;
    while (!this.listens()) {
      if (Date.now() > deadline || !existsSync2(`/proc/${this.pid}`))
        throw new Error(`${this.name}: sshd does not listen: ${this.supervisor.log(this.name)}`);
      await sleep(10);
    }
  }
  async stop() {
    process.kill(this.pid, "SIGKILL");
    while (existsSync2(`/proc/${this.pid}`)) await sleep(10);
  }
  listens() {
    try {
      return /: 00000000:0016 \S+ 0A /.test(readFileSync2(`/proc/${this.pid}/net/tcp`, "utf8"));
    } catch {
      return false;
    }
  }
};

// ../../tmp/fl.ts
import { spawnSync as spawnSync2 } from "node:child_process";
var t = Date.now();
var n = Number(process.argv[2] ?? 3);
var f = await createFleet({ count: n, packages: process.argv[3] ? process.argv.slice(3) : void 0 });
console.log("up", n, Date.now() - t, f.folder, f.root);
var h = f.hosts[0];
console.log(h.exec(["sh", "-c", "hostname; id -un; ps -e 2>/dev/null | head; ls /dev /dev/pts; mount; ip a; cat /etc/hostname; apt-get update; apt-get install -y hello; hello; ls -la /lib/modules /boot"]));
t = Date.now();
for (const x of f.hosts.slice(0, 3)) console.log(spawnSync2(...f.inNetwork(["ssh", "-o", "BatchMode=yes", "-o", `UserKnownHostsFile=${f.knownHostsFile}`, "-i", f.keyFile, `deploy@${x.address}`, "sudo -n id; hostname; echo $PATH"]), { encoding: "utf8" }), x.cpuSeconds());
console.log(Date.now() - t);
await h.stop();
await h.start();
console.log(h.exec(["cat", "/etc/hostname"]).stdout);
if (process.env.HOLD) await new Promise((r) => setTimeout(r, 1e6));
t = Date.now();
await f.destroy();
console.log("destroyed", Date.now() - t);
