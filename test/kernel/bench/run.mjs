// The kernel benchmark's command: sets up what a bare machine lacks, and runs main.ts.
import { register } from 'node:module';
import { fileURLToPath } from 'node:url';
import { installDebianPackages } from '../../../src/bootstrap/debian-packages.mjs';
import { installNpmPackages } from '../../../src/bootstrap/npm-packages.mjs';
import { debianPackages } from '../../../src/bootstrap/packages.mjs';

process.chdir(fileURLToPath(new URL('../../..', import.meta.url)));
if (!(await installNpmPackages()) || !(await installDebianPackages(debianPackages.test))) process.exit(1);
register('../../setup/typescript-hooks.mjs', import.meta.url);
const { main } = await import('./main.ts');
process.exitCode = await main(process.argv.slice(2));
