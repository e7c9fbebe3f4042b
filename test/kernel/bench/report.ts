import type { BootResult } from '../boot.ts';
import type { Clock } from './guest.ts';

/** What a guest that measured has to tell. */
interface Told {
  release: string;
  clock: Clock;
  measurements: readonly object[];
  boot: BootResult;
}

const LAST_LINES = 25;

/** Progress, a line. */
export function log(text: string): void {
  process.stderr.write(`   ${text}\n`);
}

/** Prints the measurements on stdout: each a line of JSON, or all as a table. */
export function showMeasurements({ release, clock, measurements }: Told, table: string, json: boolean): void {
  if (json)
    for (const one of measurements)
      process.stdout.write(`${JSON.stringify({ kernel: release, clock, ...one })}\n`);
  else process.stdout.write(`\n${release}, ${clock}\n${table}\n`);
}

/** Says how a guest ended whose script did not end well, with its last lines but for those of measurements. */
export function showTrouble({ boot }: Told): void {
  if (boot.exit === 0) return;
  log(`the guest ended with ${boot.exit ?? 'nothing'}, QEMU with ${boot.ended}:`);
  const said = boot.output.split('\n').filter((line) => !/^(\{|@@)/.test(line));
  for (const lines of [said, boot.console.split('\n')])
    process.stderr.write(`${lines.slice(-LAST_LINES).join('\n')}\n`);
}
