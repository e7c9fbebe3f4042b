/**
 * Our lines in a file whose comments begin with #, as qemu.conf. The file belongs to the operator: all other bytes stay as they are. Text is latin1, a
 * character a byte.
 */
const BEGIN = '# BEGIN blkfleet qemu_drive_defaults';
const END = '# END blkfleet qemu_drive_defaults';
/** On the first mark: what else we did to the file, to be undone with it. */
const MADE = ' (the file is made by blkfleet)';
const NEWLINE = ' (and the line break before)';

export interface SplitConf {
  before: string;
  /** between the marks; null where there is no section */
  section: string | null;
  after: string;
  /** the file did not exist before us */
  made: boolean;
}

export type Split = SplitConf | { problem: string };

/** Takes the file apart; a file whose marks make no sense is a problem for people, since whose lines are whose is lost. */
export function splitConf(text: string | null): Split {
  if (text === null) return { before: '', section: null, after: '', made: true };
  const lines = text.split(/(?<=\n)/);
  const begins = indexesOf(lines, BEGIN);
  const ends = indexesOf(lines, END);
  if (begins.length === 0 && ends.length === 0)
    return { before: text, section: null, after: '', made: false };
  const [begin, end] = [begins[0], ends[0]];
  if (begins.length !== 1 || ends.length !== 1 || begin! > end!)
    return {
      problem: `line ${(begin ?? end)! + 1} marks blkfleet's section, but its other end is not where it should be`,
    };
  const first = lines[begin!]!;
  let before = lines.slice(0, begin).join('');
  if (first.includes(NEWLINE) && before.endsWith('\n')) before = before.slice(0, -1);
  return {
    before,
    section: lines.slice(begin! + 1, end).join(''),
    after: lines.slice(end! + 1).join(''),
    made: first.includes(MADE),
  };
}

function indexesOf(lines: readonly string[], mark: string): number[] {
  return lines.flatMap((line, index) => (line.startsWith(mark) ? [index] : []));
}

/**
 * The file with our section. It stays where it is, unless `mayMove` and lines after it could undo it: of two defaults
 * the later one counts, so it moves to the end then.
 */
export function withSection(
  { before, section, after, made }: SplitConf,
  lines: string,
  { mayMove = true } = {},
): string {
  const move = section === null || (mayMove && overrides(after));
  const above = move ? before + after : before;
  const newline = above !== '' && !above.endsWith('\n');
  const marks = `${made ? MADE : ''}${newline ? NEWLINE : ''}`;
  return `${above}${newline ? '\n' : ''}${BEGIN}${marks}\n${lines}${END}\n${move ? '' : after}`;
}

/** The file as it would be without us; null where it would not exist. */
export function withoutSection({ before, after, made }: SplitConf): string | null {
  const text = before + after;
  return made && text === '' ? null : text;
}

/** True where lines after our section set the same driver, or go on in our last group. */
function overrides(after: string): boolean {
  const lines = after.split('\n').filter((line) => line.trim() !== '' && !line.trimStart().startsWith('#'));
  return lines.length > 0 && (!lines[0]!.trimStart().startsWith('[') || lines.some(namesOurs));
}

const namesOurs = (line: string) => /(?:virtio|vhost)-blk/.test(line);

/** Line numbers, from 1, of others' lines that name a driver that we default. */
export function foreignLines(split: SplitConf, text: string): number[] {
  if (!namesOurs(split.before) && !namesOurs(split.after)) return [];
  const lines = text.split('\n');
  const begin = lines.findIndex((line) => line.startsWith(BEGIN));
  const end = lines.findIndex((line) => line.startsWith(END));
  return lines.flatMap((line, index) => {
    const ours = begin >= 0 && index >= begin && index <= end;
    return !ours && !line.trimStart().startsWith('#') && namesOurs(line) ? [index + 1] : [];
  });
}
