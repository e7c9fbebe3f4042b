// The benchmark's command: sets up what a bare machine lacks, builds the CLI, and runs bench.ts.
import { spawnSync } from 'node:child_process';
import { register } from 'node:module';
import { fileURLToPath } from 'node:url';
import { installDebianPackages } from '../../src/bootstrap/debian-packages.mjs';
import { installNpmPackages } from '../../src/bootstrap/npm-packages.mjs';
import { debianPackages } from '../../src/bootstrap/packages.mjs';
import { benchOptions } from './options.mjs';

const options = benchOptions(process.argv.slice(2));
process.chdir(fileURLToPath(new URL('../..', import.meta.url)));
if (!(await installNpmPackages()) || !(await installDebianPackages(debianPackages.test))) process.exit(1);
if (spawnSync('node', ['src/bootstrap/build.mjs'], { stdio: 'inherit' }).status !== 0) process.exit(1);
register('../setup/typescript-hooks.mjs', import.meta.url);
const { main } = await import('./bench.ts');
process.exitCode = await main(options);
