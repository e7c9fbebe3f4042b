import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Input, ResourcePlan } from '../../../../src/resources/kind.ts';
import { packages } from '../../../../src/resources/package/index.ts';
import type { PackageDeclaration } from '../../../../src/resources/package/schema.ts';
import { debianFacts } from '../facts.ts';
import { changeLines, runProbe, runStep } from '../shell.ts';

const input = (desired: PackageDeclaration): Input<unknown> => ({
  desired: packages.schema.parse(desired),
  assets: {},
});
const fixture = (name: string) => readFileSync(join(import.meta.dirname, '../../../fixtures/package', name));

function planFrom(output: Buffer, desired: PackageDeclaration, facts = debianFacts()): ResourcePlan {
  const declared = input(desired);
  return packages.plan(declared, packages.parse(output, declared), { facts });
}

describe('schema', () => {
  it.each([
    {},
    { name: 'a1', names: ['b1'] },
    { names: [] },
    { name: 'Upper' },
    { name: 'foo-' },
    { name: 'foo=1.0' },
    { name: 'foo*' },
    { name: 'lib^' },
    { name: '-o' },
    { name: 'a b' },
    { name: 'a;b' },
    { name: 'foo:' },
    { name: 'a1', state: 'latest' },
    { name: 'a1', version: '1' },
  ])('refuses %j', (value) => {
    expect(packages.schema.safeParse(value).success).toBe(false);
  });

  it.each(['g++', 'libc6:arm64', 'python3.11', 'linux-headers-6.1.0-41-amd64', '0ad'])('takes %s', (name) => {
    expect(packages.schema.safeParse({ name }).success).toBe(true);
  });
});

describe('plan', () => {
  it.each<[PackageDeclaration, string[]]>([
    [{ name: 'bash' }, []],
    [{ name: 'dkms' }, ['package.dkms: absent → present (3.0.10-8+deb12u1)']],
    [{ names: ['bash', 'dkms'] }, ['package.dkms: absent → present (3.0.10-8+deb12u1)']],
    [{ name: 'nosuch' }, ['package.nosuch: absent → present']],
    // only the one of another architecture is there
    [{ name: 'foo' }, ['package.foo: absent → present']],
    [{ name: 'foo:arm64' }, []],
    [{ name: 'libc6:amd64' }, []],
    [{ name: 'libc6:arm64' }, ['package.libc6:arm64: absent → present (2.36-9+deb12u13)']],
    [{ name: 'qemu-utils' }, ['package.qemu-utils: half installed → present']],
    // what was removed and not purged is absent
    [{ name: 'dkms', state: 'absent' }, []],
  ])('of %j is %j', (desired, changes) => {
    const verdict = planFrom(fixture('mixed.txt'), desired);
    expect(verdict.status).toBe(changes.length === 0 ? 'ok' : 'change');
    expect(changeLines(verdict)).toEqual(changes);
  });

  it('warns of a package that apt knows no candidate for', () => {
    expect(planFrom(fixture('mixed.txt'), { name: 'nosuch' })).toMatchObject({
      warnings: [expect.stringContaining('nosuch')],
    });
    expect(planFrom(fixture('mixed.txt'), { name: 'dkms' })).not.toHaveProperty('warnings');
  });

  it('shows what else a removal takes along', () => {
    const verdict = planFrom(fixture('removal.txt'), { name: 'qemu-utils', state: 'absent' });
    expect(changeLines(verdict)).toEqual([
      'package.qemu-utils: present (1:7.2+dfsg-7) → absent',
      'package.libguestfs-tools: present → absent',
    ]);
    expect(verdict).toMatchObject({ changes: [{ reason: expect.stringContaining('libguestfs-tools') }, {}] });
  });

  it('is blocked where apt can not say what a removal takes along', () => {
    const output = Buffer.from(
      fixture('removal.txt')
        .toString()
        .replace(/removes.*/s, 'removes\n'),
    );
    expect(planFrom(output, { name: 'qemu-utils', state: 'absent' })).toMatchObject({
      status: 'blocked',
      code: 'E_BLOCKED',
    });
  });

  it('tells the tasks behind it which kernels get headers', () => {
    expect(planFrom(fixture('mixed.txt'), { name: 'linux-headers-6.1.0-41-amd64' })).toMatchObject({
      facts: { headersAdded: ['6.1.0-41-amd64'] },
    });
  });

  it.each(['dnf', 'zypper', 'none'] as const)('is blocked for %s', (manager) => {
    expect(planFrom(Buffer.alloc(0), { name: 'bash' }, debianFacts({ manager }))).toMatchObject({
      status: 'blocked',
      code: 'E_BLOCKED',
    });
  });

  it('is blocked by a broken dpkg only where there is something to do', () => {
    const broken = debianFacts({ healthy: false });
    expect(planFrom(fixture('mixed.txt'), { name: 'dkms' }, broken)).toMatchObject({
      status: 'blocked',
      code: 'E_BLOCKED',
      hint: expect.stringContaining('dpkg --configure -a'),
    });
    expect(planFrom(fixture('mixed.txt'), { name: 'bash' }, broken)).toMatchObject({
      status: 'ok',
      warnings: [expect.anything()],
    });
  });

  it('is blocked where dpkg does not answer', () => {
    expect(planFrom(Buffer.alloc(0), { name: 'bash' })).toMatchObject({ status: 'blocked', code: 'E_PROBE' });
  });

  it('takes no name or version from a hostile answer', () => {
    const output = Buffer.from(
      'pkg dpkg amd64 installed 1\npkg bash amd64 \x1b[2J 1\nasked bash\nbash\n= 1\x1b[2J\nremoves\n$(id)\n-o\n',
    );
    const verdict = planFrom(output, { name: 'bash' });
    expect(changeLines(verdict)).toEqual(['package.bash: absent → present']);
    expect(packages.parse(output, input({ name: 'bash' }))).toMatchObject({ removed: [] });
  });
});

// Stand-ins for dpkg-query, apt-cache and apt-get over a file of `NAME ARCH STATUS VERSION` lines and a folder's worth of
// candidates; apt-get writes down how it was called.
const tools = {
  'dpkg-query': `shift 2; format=$1; shift; rc=0
for n in "$@"; do
  grep "^\${n%%:*} " "$STATE/status" > "$STATE/found" || { rc=1; echo "no packages found matching $n" >&2; continue; }
  while read -r name arch status version; do
    case $format in pkg*) echo "pkg $name $arch $status $version";; *) echo "$status";; esac
  done < "$STATE/found"
done; exit $rc`,
  'apt-cache': `echo "apt-cache $*" >> "$STATE/calls"
for n in "$@"; do
  grep -q "^$n " "$STATE/candidates" || continue
  grep "^$n " "$STATE/candidates" | while read -r name version; do printf '%s:\\n  Installed: (none)\\n  Candidate: %s\\n' "$name" "$version"; done
done`,
  'apt-get': `echo "apt-get $*" >> "$STATE/calls"
case " $* " in
  *' -s '*) cat "$STATE/simulated"; exit 0;;
  *' update '*) [ ! -e "$STATE/new-candidates" ] || cp "$STATE/new-candidates" "$STATE/candidates"; exit 0;;
  *' --download-only '*) exit 0;;
  *' install '*) [ -e "$STATE/lies" ] || echo "\${*##* } amd64 installed 9" >> "$STATE/status"; exit 0;;
  *' remove '*) sed -i "/^\${*##* } /d" "$STATE/status"; exit 0;;
esac`,
};

// dpkg's own files are not there, so that the stand-in for dpkg-query is asked.
const asksTools = { DPKG_ADMINDIR: '/nonexistent' };

describe('probe and steps with stand-ins for the tools', () => {
  let folder: string;
  let path: string;
  const state = (name: string) => join(folder, name);
  const calls = async () => (await readFile(state('calls'), 'utf8')).trim().split('\n');

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'blkfleet-apt-'));
    path = `${folder}:/usr/bin:/bin`;
    for (const [name, text] of Object.entries(tools)) {
      await writeFile(join(folder, name), `#!/bin/sh\nSTATE='${folder}'\n${text}\n`);
      await chmod(join(folder, name), 0o755);
    }
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  beforeEach(async () => {
    await writeFile(
      state('status'),
      'dpkg amd64 installed 1.21\nbash amd64 installed 5.2\nold amd64 config-files 1\n',
    );
    await writeFile(state('candidates'), 'sl 5.02\nold 2\n');
    await writeFile(state('simulated'), '');
    await writeFile(state('calls'), '');
    for (const name of ['lies', 'new-candidates']) await rm(state(name), { force: true });
  });

  function planHere(desired: PackageDeclaration) {
    const declared = input(desired);
    const current = packages.parse(runProbe(packages, [declared], path, asksTools)[0]!, declared);
    const context = { facts: debianFacts() };
    const verdict = packages.plan(declared, current, context);
    return { verdict, steps: verdict.status === 'change' ? packages.steps(declared, current, context) : [] };
  }

  it('asks apt nothing where all is in sync', async () => {
    const inputs = [input({ name: 'bash' }), input({ name: 'nosuch', state: 'absent' })];
    const answers = runProbe(packages, inputs, path, asksTools).map((body, index) =>
      packages.parse(body, inputs[index]!),
    );
    expect(
      answers.map((answer, index) => packages.plan(inputs[index]!, answer, { facts: debianFacts() }).status),
    ).toEqual(['ok', 'ok']);
    expect(await readFile(state('calls'), 'utf8')).toBe('');
  });

  it('asks apt once for all that is missing, and without writing its caches', async () => {
    const inputs = [{ names: ['sl', 'bash'] }, { name: 'old' }, { name: 'nosuch' }].map(input);
    const bodies = runProbe(packages, inputs, path, asksTools);
    const lines = inputs.map((one, index) =>
      changeLines(packages.plan(one, packages.parse(bodies[index]!, one), { facts: debianFacts() })),
    );
    expect(lines.flat().map((line) => line.replace(/ \(.*/, ''))).toEqual([
      'package.sl: absent → present',
      'package.old: absent → present',
      'package.nosuch: absent → present',
    ]);
    expect(await calls()).toEqual([expect.stringMatching(/Dir::Cache::pkgcache= .*policy sl old nosuch$/)]);
  });

  it('installs, and is in sync after', async () => {
    const { steps } = planHere({ name: 'sl' });
    expect(steps.map((step) => runStep(step, path).status)).toEqual([0]);
    expect(planHere({ name: 'sl' }).verdict.status).toBe('ok');
    const install = (await calls()).filter((call) => / install /.test(call)).at(-1)!;
    expect(install).toMatch(/--no-remove --no-install-recommends install sl$/);
    expect(install).toContain('DPkg::Lock::Timeout=120');
  });

  it('installs what is recommended only when asked', async () => {
    runStep(planHere({ name: 'sl', recommends: true }).steps[0]!, path);
    expect((await calls()).at(-1)).toContain(' --install-recommends ');
  });

  it('brings the lists up to date for an unknown package, and only then', async () => {
    await writeFile(state('new-candidates'), 'late 1\n');
    expect(runStep(planHere({ name: 'late' }).steps[0]!, path).status).toBe(0);
    expect((await calls()).filter((call) => / update$/.test(call))).toHaveLength(1);
  });

  it('fails for a name that apt does not know, before apt could take it for a pattern', async () => {
    expect(runStep(planHere({ name: 'nosuch' }).steps[0]!, path).status).toBe(1);
    expect((await calls()).filter((call) => / install /.test(call))).toEqual([]);
  });

  it('fails where apt says 0 and dpkg does not have it', async () => {
    await writeFile(state('lies'), '');
    expect(runStep(planHere({ name: 'sl' }).steps[0]!, path).status).toBe(1);
  });

  it('removes what the plan showed', async () => {
    await writeFile(state('simulated'), 'Remv bash [5.2]\n');
    const { verdict, steps } = planHere({ name: 'bash', state: 'absent' });
    expect(changeLines(verdict)).toEqual(['package.bash: present (5.2) → absent']);
    expect(runStep(steps[0]!, path).status).toBe(0);
    expect(planHere({ name: 'bash', state: 'absent' }).verdict.status).toBe('ok');
    expect(runStep(steps[0]!, path).status).toBe(0);
  });

  it('removes nothing where more would go than the plan showed', async () => {
    await writeFile(state('simulated'), 'Remv bash [5.2]\n');
    const { steps } = planHere({ name: 'bash', state: 'absent' });
    await writeFile(state('simulated'), 'Remv login [1]\nRemv bash [5.2]\n');
    expect(runStep(steps[0]!, path)).toMatchObject({ status: 1, output: expect.stringContaining('login') });
    expect((await calls()).filter((call) => / remove bash$/.test(call) && !call.includes(' -s '))).toEqual(
      [],
    );
  });
});

describe("the probe's look at dpkg's status", () => {
  let folder: string;
  let env: Record<string, string>;
  const statusFile = () => join(folder, 'status');

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'blkfleet-dpkg-'));
    env = { DPKG_ADMINDIR: folder };
    await mkdir(join(folder, 'updates'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** What dpkg-query and the probe say of all these names, each as sorted lines. */
  function bothSay(names: readonly string[]) {
    const format = `pkg \${Package} \${Architecture} \${db:Status-Status} \${Version}\n`;
    const asked = spawnSync('dpkg-query', ['-W', '-f', format, ...names], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
    });
    const declared = Array.from({ length: Math.ceil(names.length / 150) }, (_, i) =>
      input({ names: names.slice(150 * i, 150 * (i + 1)) }),
    );
    const probed = runProbe(packages, declared, undefined, env).join('\n');
    const lines = (text: string) => [...new Set(text.split('\n').filter((l) => l.startsWith('pkg ')))].sort();
    return { asked: lines(asked.stdout), probed: lines(probed) };
  }

  it('is what dpkg-query says of all packages of this machine', async () => {
    await copyFile('/var/lib/dpkg/status', statusFile());
    const all = [...(await readFile(statusFile(), 'utf8')).matchAll(/^Package: (.+)$/gm)].map((m) => m[1]!);
    const { asked, probed } = bothSay([...new Set(all)]);
    expect(asked.length).toBeGreaterThan(50);
    expect(probed).toEqual(asked);
  });

  it('tells states, architectures and continuation lines apart as dpkg-query does', async () => {
    const stanza = (name: string, arch: string, status: string, more = '') =>
      `Package: ${name}\nStatus: ${status}\nMaintainer: a <a@b.example>\nArchitecture: ${arch}\n${more}Version: 1:2.3-4+x~1\nDescription: d\n Package: forged\n .\n Status: install ok installed\n\n`;
    await writeFile(
      statusFile(),
      [
        stanza('dpkg', 'amd64', 'install ok installed'),
        stanza('libx', 'amd64', 'install ok installed', 'Multi-Arch: same\n'),
        stanza('libx', 'i386', 'install ok half-configured', 'Multi-Arch: same\n'),
        stanza('gone', 'all', 'deinstall ok config-files'),
        stanza('held', 'amd64', 'hold ok installed'),
        stanza('libxy', 'amd64', 'install reinstreq half-installed'),
      ].join(''),
    );
    const { asked, probed } = bothSay(['dpkg', 'libx', 'gone', 'held', 'forged']);
    expect(asked).toHaveLength(5);
    expect(probed).toEqual(asked);
  });

  it('is left to dpkg-query while dpkg has updates that are not in it', async () => {
    await writeFile(statusFile(), '');
    const update =
      'Package: late\nStatus: install ok installed\nMaintainer: a <a@b.example>\nArchitecture: all\nVersion: 1\nDescription: d\n';
    await writeFile(join(folder, 'updates/0000'), update);
    expect(bothSay(['late']).probed).toEqual(['pkg late all installed 1']);
    await rm(join(folder, 'updates/0000'));
  });
});

describe('probe where there is no dpkg', () => {
  it('answers every declaration, with nothing', async () => {
    const empty = await mkdtemp(join(tmpdir(), 'blkfleet-none-'));
    try {
      const inputs = [input({ name: 'bash' }), input({ name: 'sl', state: 'absent' })];
      expect(runProbe(packages, inputs, empty).map(String)).toEqual(['', '']);
    } finally {
      await rm(empty, { recursive: true, force: true });
    }
  });
});
