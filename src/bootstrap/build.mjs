// Bundles the CLI: ESM with splitting, so that `--help` loads no library; ssh2 stays outside to keep its native addon.
// Argument: another folder than dist, which is emptied.
import { rm } from 'node:fs/promises';
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
await build({
  entryPoints: { cli: 'src/cli/main.ts' },
  outdir,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: true,
  chunkNames: 'chunks/[name]-[hash]',
  external: ['ssh2', 'cpu-features'],
  loader: { '.node': 'empty' },
  plugins: [englishOnly],
  banner: { js: banner },
  logLevel: 'warning',
});
