import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { copySource, type ModuleSource, vhostBlk } from './build.ts';
import { type DebugKernel, prepareDebugKernel } from './debug-kernel.ts';
import { inRoot } from './namespace.ts';
import { runLogged } from './process.ts';
import { dmQcow2 } from './qcow2-guest.ts';

// The debug kernel's tree has both tools; it is built when it is not in the cache.
const PREPARE_MS = 150 * 60_000;
const RUN_MS = 15 * 60_000;

let kernel: DebugKernel;
let folder: string;

beforeAll(async () => {
  kernel = await prepareDebugKernel((line) => console.log(`[style] ${line}`));
  folder = mkdtempSync(join(tmpdir(), 'blkfleet-style-'));
}, PREPARE_MS);

afterAll(() => {
  if (folder) rmSync(folder, { recursive: true, force: true });
});

/** Runs a command in a fresh copy of a module's folder, with the kernel's tree at /usr/src. */
async function inSource(
  module: ModuleSource,
  command: string,
  change?: { file: string; append: string },
): Promise<string> {
  const source = join(folder, 'source');
  rmSync(source, { recursive: true, force: true });
  copySource(module, source);
  if (change) writeFileSync(join(source, change.file), change.append, { flag: 'a' });
  const output = join(folder, 'output');
  const argv = inRoot(
    kernel.root,
    { '/mnt': folder, '/usr/src': kernel.tree },
    `cd /mnt/source && ${command}`,
  );
  await runLogged(argv, { output, timeoutMs: RUN_MS });
  return readFileSync(output, 'utf8');
}

const modules = [
  { module: vhostBlk, sources: ['.'], checked: '*.c *.h uapi/*.h Kbuild', files: 40, changed: 'range.c' },
  {
    module: dmQcow2,
    sources: ['.', 'format'],
    checked: '*.c *.h format/*.[ch] Kbuild',
    files: 50,
    changed: 'map.c',
  },
];

describe.each(modules)('sparse and $module.name', ({ module, sources, changed }) => {
  const make = 'make -C /usr/src M=/mnt/source C=2 modules';
  const complaints = (output: string) => output.match(/^\S+:\d+:\d+: (?:warning|error): .*$/gm) ?? [];

  test(
    'finds nothing in the module',
    async () => {
      const output = await inSource(module, make);
      expect(complaints(output)).toEqual([]);
      const checked = [...output.matchAll(/^ {2}CHECK\s+\/?(?:mnt\/source\/)?(\S+\.c)$/gm)].map(
        ([, file]) => file,
      );
      expect(checked.sort(), output).toEqual(sources.flatMap(sourceFiles).sort());
      expect(output).toMatch(new RegExp(`^ {2}LD \\[M\\]\\s+.*${module.name}\\.ko$`, 'm'));
    },
    RUN_MS,
  );

  test(
    'would find a pointer of user space that is followed, and a number of the wrong end',
    async () => {
      const wrong = 'int wrong(const int __user *from, __le32 value);\n'.concat(
        'int wrong(const int __user *from, __le32 value)\n{\n\treturn *from + value;\n}\n',
      );
      const found = complaints(await inSource(module, make, { file: changed, append: wrong }));
      expect(found.filter((line) => /dereference of noderef expression/.test(line))).not.toEqual([]);
      expect(found.filter((line) => /restricted __le32/.test(line))).not.toEqual([]);
    },
    RUN_MS,
  );
});

describe.each(modules)('checkpatch and $module.name', ({ module, checked: patterns, files, changed }) => {
  const perl = 'perl /usr/src/scripts/checkpatch.pl --no-tree --emacs --show-types --file';
  const complaints = (output: string) => output.match(/^\S+:\d+: (?:WARNING|ERROR):.*$/gm) ?? [];
  const checked = (output: string) => (output.match(/^total: .* lines checked$/gm) ?? []).length;

  test(
    'finds nothing in the module',
    async () => {
      const output = await inSource(module, `${perl} ${patterns}`);
      expect(complaints(output)).toEqual([]);
      expect(checked(output), output).toBeGreaterThan(files);
    },
    RUN_MS,
  );

  test(
    'finds nothing in what stands for newer kernels',
    async () => {
      // A type and a macro of theirs are as they have them.
      const output = await inSource(
        module,
        `${perl} --ignore NEW_TYPEDEFS,MACRO_ARG_UNUSED compat/*.h compat/probes/*.c`,
      );
      expect(complaints(output)).toEqual([]);
      expect(checked(output), output).toBeGreaterThan(10);
    },
    RUN_MS,
  );

  test(
    'would find a barrier without a reason',
    async () => {
      const wrong = 'void wrong(void);\nvoid wrong(void)\n{\n\n\tsmp_mb();\n}\n';
      const found = complaints(
        await inSource(module, `${perl} ${changed}`, { file: changed, append: wrong }),
      );
      expect(found.filter((line) => line.includes('MEMORY_BARRIER'))).not.toEqual([]);
    },
    RUN_MS,
  );
});

/** Sources in a folder of the module, as make names them. */
function sourceFiles(within: string): string[] {
  const names = readdirSync(join(folder, 'source', within));
  return names
    .filter((name) => name.endsWith('.c') && !name.endsWith('.mod.c'))
    .map((name) => join(within, name));
}
