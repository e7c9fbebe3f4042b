// Commands that measure in a guest: sets up what a bare machine lacks, and runs the program that is named first.
import { register } from 'node:module';
import { fileURLToPath } from 'node:url';
import { installDebianPackages } from '../../../src/bootstrap/debian-packages.mjs';
import { installNpmPackages } from '../../../src/bootstrap/npm-packages.mjs';
import { debianPackages } from '../../../src/bootstrap/packages.mjs';

process.chdir(fileURLToPath(new URL('../../..', import.meta.url)));
if (!(await installNpmPackages()) || !(await installDebianPackages(debianPackages.test))) process.exit(1);
register('../../setup/typescript-hooks.mjs', import.meta.url);
const [program, ...args] = process.argv.slice(2);
const { main } = await import(`./${program}.ts`);
process.exitCode = await main(args);
