import { describe, expect, it } from 'vitest';
import {
  foreignLines,
  type SplitConf,
  splitConf,
  withoutSection,
  withSection,
} from '../../../../src/resources/qemu_drive_defaults/section.ts';

const LINES = '[global]\n  driver = "virtio-blk-pci"\n  property = "queue-size"\n  value = "512"\n';
const OTHER = '[global]\n  driver = "VGA"\n  property = "vgamem_mb"\n  value = "32"\n';

const split = (text: string | null) => splitConf(text) as SplitConf;

describe('lines of others', () => {
  it.each([
    ['no file', null],
    ['an empty file', ''],
    ['a break alone', '\n'],
    ['a file', OTHER],
    ['without a break at the end', OTHER.slice(0, -1)],
    ['with Windows breaks', OTHER.replaceAll('\n', '\r\n')],
    ['breaks at the end', `${OTHER}\n\n\n`],
    ['bytes that are no text', '# \xff\xfe\x00\n'],
    ['a later group of the same driver', LINES],
  ])('%s: come back byte for byte', (_, before) => {
    const once = withSection(split(before), LINES);
    expect(withSection(split(once), LINES)).toBe(once);
    const changed = withSection(split(once), LINES.replace('512', '64'));
    expect(withoutSection(split(changed))).toBe(before);
  });

  it('added after ours stay there where they do not matter, and the file stays with them', () => {
    const text = withSection(split(null), LINES) + OTHER;
    expect(withSection(split(text), LINES)).toBe(text);
    expect(withoutSection(split(text))).toBe(OTHER);
  });

  it.each([LINES.replace('512', '64'), '  value = "64"\n'])(
    '%j after ours would undo it: ours go last',
    (after) => {
      const own = withSection(split(null), LINES);
      const moved = withSection(split(own + after), LINES);
      expect(moved.startsWith(after)).toBe(true);
      expect(withSection(split(moved), LINES)).toBe(moved);
      expect(withoutSection(split(moved))).toBe(after);
    },
  );

  it('that name our drivers are found by number, ours and comments are not', () => {
    const text = `# virtio-blk\n${withSection(split(LINES), LINES)}`;
    expect(foreignLines(split(text), text)).toEqual([3]);
    const alone = withSection(split(OTHER), LINES);
    expect(foreignLines(split(alone), alone)).toEqual([]);
  });
});

describe('marks', () => {
  const own = withSection(split(null), LINES);
  it.each([
    ['no end', own.replace(/# END.*\n/, '')],
    ['no begin', own.replace(/# BEGIN.*\n/, '')],
    ['two of each', own + own],
    ['the wrong way round', own.split('\n').reverse().join('\n')],
  ])('%s: refused', (_, text) => {
    expect(splitConf(text)).toHaveProperty('problem');
  });
});
