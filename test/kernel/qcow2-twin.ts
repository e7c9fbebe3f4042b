import { execFile } from 'node:child_process';
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pseudoRandom } from './qcow2-images.ts';
import { DiskModel, drawRounds, listOf, type Operation, qemuIoOf } from './qcow2-operations.ts';
import { type DrawnImage, drawImage } from './qcow2-option-space.ts';
import { sumOf } from './qcow2-sum.ts';

const run = promisify(execFile);

const OPERATIONS = 24;

/** An image, a twin of it that only QEMU writes, and what is done to both. */
export interface Twins {
  name: string;
  image: DrawnImage;
  /** Round → batches. */
  rounds: Operation[][][];
}

/**
 * Makes an image and its twin in a folder, and the list for qcow2-apply, NAME.list, which saves the image after each round.
 * @param guest where the folder is in the guest
 */
export function makeTwins(folder: string, name: string, seed: number, rounds: number, guest: string): Twins {
  const image = drawImage(folder, name, seed);
  copyFileSync(join(folder, image.file), join(folder, `${name}-twin.qcow2`));
  const next = pseudoRandom(seed + 50_000);
  const planned = drawRounds(next, image.bytes, { rounds, operations: OPERATIONS });
  const list = planned.map(
    (batches, round) =>
      `${listOf(batches)}${next(2) === 0 ? 'flush' : 'then'}\nsum 37888\nsave ${guest}/${savedAs(name, round)}\n`,
  );
  writeFileSync(join(folder, `${name}.list`), list.join(''));
  return { name, image, rounds: planned };
}

const savedAs = (name: string, round: number) => `${name}.round-${round}`;

/**
 * Does the same to the twin, and compares after each round: the saved image is clean, it holds what the twin holds, and the
 * device read the same.
 * @param folder where the twin is
 * @param back where the saved images are, with what is below them
 * @param sums of the device, one a round
 * @returns what is wrong; empty: nothing
 */
export async function compareTwins(
  twins: Twins,
  folder: string,
  back: string,
  sums: readonly string[],
): Promise<string[]> {
  const { name, image, rounds } = twins;
  const twin = join(folder, `${name}-twin.qcow2`);
  const model = new DiskModel(await contentOf(twin));
  const problems: string[] = [];
  const wrong = (round: number, text: string) => problems.push(`${name}, round ${round}: ${text}`);
  for (const [round, batches] of rounds.entries()) {
    const operations = batches.flat();
    for (const operation of operations) model.apply(operation);
    const told = await tell(
      operations.map((operation) => qemuIoOf(operation, join(folder, 'sources'))),
      twin,
    );
    if (told !== '') wrong(round, `qemu-io on the twin: ${told}`);
    const saved = join(back, savedAs(name, round));
    const check = await run('qemu-img', ['check', '-f', 'qcow2', saved]).catch((error) => error);
    if (check.code)
      wrong(round, `qemu-img check: ${check.code} ${check.stdout}${check.stderr}`.slice(0, 2000));
    const [is, other] = [await contentOf(saved), await contentOf(twin)];
    const sector = model.firstWrong(is) ?? model.firstWrong(other);
    if (sector !== undefined) wrong(round, `sector ${sector} is not what the twin has`);
    if (sums[round] !== sumOf(is)) wrong(round, 'the device did not read what is in its image');
    rmSync(saved);
    if (problems.length > 0) break;
  }
  return problems.length > 0 ? [...problems, `${name} was made so:\n${image.recipe.join('\n')}`] : [];
}

/** Commands for qemu-io, and what it had to say to them. */
async function tell(commands: readonly string[], image: string): Promise<string> {
  const running = run('qemu-io', ['-t', 'unsafe', '-f', 'qcow2', image]);
  running.child.stdin!.end(`${commands.join('\n')}\n`);
  return running.then(
    () => '',
    ({ stdout, stderr }: { stdout: string; stderr: string }) => `${stdout}${stderr}`,
  );
}

/** The disk of an image, as qemu-img reads it. */
export async function contentOf(image: string): Promise<Buffer> {
  const raw = `${image}.raw`;
  await run('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', image, raw]);
  const content = readFileSync(raw);
  rmSync(raw);
  return content;
}
