// Bundles the CLI: ESM with splitting, so that `--help` loads no library; ssh2 stays outside to keep its native addon.
// Then writes the JSON Schemas by which editors check playbooks and inventories, and docs/playbooks.md.
// Argument: another folder than dist, which is emptied; nothing else is written then.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { build } from 'esbuild';

const banner =
  "import {createRequire as __cr} from 'node:module';import {fileURLToPath as __fu} from 'node:url';" +
  "import {dirname as __dn} from 'node:path';const require=__cr(import.meta.url);" +
  'const __filename=__fu(import.meta.url);const __dirname=__dn(__filename);';

const root = new URL('../../', import.meta.url);
process.chdir(new URL('.', root).pathname);
const outdir = process.argv[2] ?? 'dist';
await rm(outdir, { recursive: true, force: true });
// zod carries its messages in all languages, a sixth of what a run loads; ours are English.
const englishOnly = {
  name: 'english-only',
  setup({ onLoad }) {
    onLoad({ filter: /[/\\]zod[/\\]v4[/\\]locales[/\\]index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
    }));
  },
};
const { version } = JSON.parse(await readFile('package.json', 'utf8'));
await build({
  entryPoints: { cli: 'src/cli/main.ts' },
  outdir,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: true,
  minifyWhitespace: true,
  minifySyntax: true,
  chunkNames: 'chunks/[name]-[hash]',
  define: { BLKFLEET_VERSION: JSON.stringify(version) },
  external: ['ssh2', 'cpu-features'],
  loader: { '.node': 'empty' },
  plugins: [englishOnly],
  banner: { js: banner },
  logLevel: 'warning',
});
// npx looks here for this folder's own command, and remembers for good where it found none.
if (outdir === 'dist' && existsSync('node_modules/.bin')) {
  await chmod('dist/cli.js', 0o755);
  await rm('node_modules/.bin/blkfleet', { force: true });
  await symlink('../../dist/cli.js', 'node_modules/.bin/blkfleet');
}
// Made from what was built just now, so that they can not fall behind it; the first line of playbooks/*.yaml names the
// schemas. The page is kept with the sources, which a build leaves alone where it is right.
if (outdir === 'dist') {
  const made = (subject) => execFileSync(process.execPath, ['dist/cli.js', 'schema', subject]);
  await mkdir('schema', { recursive: true });
  for (const subject of ['playbook', 'inventory'])
    await writeFile(`schema/${subject}.schema.json`, made(subject));
  const page = made('reference');
  const known = await readFile('docs/playbooks.md').catch(() => undefined);
  if (known === undefined || !page.equals(known)) await writeFile('docs/playbooks.md', page);
}
