import { styleText } from 'node:util';
import type { HostStatus, TaskStatus } from '../events/events.ts';

/** What a piece of text means; how it looks is decided here alone. */
export type Tone = 'plain' | 'good' | 'change' | 'bad' | 'warn' | 'quiet' | 'strong';

/** Colours a text, or returns it as it is where colour is off. */
export type Paint = (tone: Tone, text: string) => string;

const formats = {
  good: 'green',
  change: 'yellow',
  bad: 'red',
  warn: 'magenta',
  quiet: 'dim',
  strong: 'bold',
} as const;

export function createPaint(colour: boolean): Paint {
  if (!colour) return (_tone, text) => text;
  return (tone, text) =>
    tone === 'plain' || text === '' ? text : styleText(formats[tone], text, { validateStream: false });
}

/**
 * Whether to colour what goes to `stream`: FORCE_COLOR decides when set ('0' and 'false' are no), then NO_COLOR, then
 * TERM=dumb, then whether it is a terminal. As in Node, FORCE_COLOR wins over NO_COLOR.
 */
export function wantsColour(stream: { isTTY?: boolean }, env: NodeJS.ProcessEnv = process.env): boolean {
  const force = env.FORCE_COLOR;
  if (force !== undefined) return force !== '0' && force !== 'false';
  if (env.NO_COLOR) return false;
  if (env.TERM === 'dumb') return false;
  return stream.isTTY === true;
}

/** Glyph and tone of a status; the word always stands beside the glyph, so that neither colour nor font is needed. */
export const statusMark: Readonly<Record<HostStatus | TaskStatus, { glyph: string; tone: Tone }>> = {
  ok: { glyph: '✓', tone: 'good' },
  changed: { glyph: '~', tone: 'change' },
  pending: { glyph: '◦', tone: 'change' },
  failed: { glyph: '✗', tone: 'bad' },
  unreachable: { glyph: '✗', tone: 'bad' },
  skipped: { glyph: '-', tone: 'quiet' },
};

export const actionTone: Readonly<Record<'+' | '~' | '-' | '±', Tone>> = {
  '+': 'good',
  '~': 'change',
  '-': 'bad',
  '±': 'change',
};
