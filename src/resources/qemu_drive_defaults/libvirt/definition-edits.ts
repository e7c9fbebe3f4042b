import type { Disk, Domain } from './domain.ts';
import { applyEdits, attribute, child, type Edit, type Element, escapeXml, setAttributes } from './xml.ts';

/** Attributes of `<driver>` that the policy owns. */
export const owned = ['cache', 'io', 'discard', 'detect_zeroes', 'queues', 'queue_size', 'iothread'] as const;
/** Their values; null where one shall not be there. */
export type DriverAttributes = Partial<Record<(typeof owned)[number], string | null>>;

/** Edits of one driver element. `spread`: iothreads for its virtqueues, 0 for none, null where that is left. */
export function driverEdits(
  disk: Disk,
  driver: Element | undefined,
  wanted: Readonly<Record<string, string | null>>,
  spread: number | null,
  text: string,
): { edits: Edit[]; from: string; to: string } {
  const differing = Object.entries(wanted).filter(
    ([name, value]) => (attribute(driver, name) ?? null) !== value,
  );
  const threads = child(driver, 'iothreads');
  const list = spread ? iothreadList(spread) : '';
  const spreads = spread !== null && !sameSpread(threads, spread);
  const name = (value: string | null | undefined) => value ?? 'unset';
  const from = differing.map(([key]) => `${key}=${name(attribute(driver, key))}`);
  const to = differing.map(([key, value]) => `${key}=${name(value)}`);
  if (spreads) {
    from.push(`iothreads=${threads ? threads.children.length : 'unset'}`);
    to.push(`iothreads=${spread || 'unset'}`);
  }
  if (from.length === 0) return { edits: [], from: '', to: '' };
  const edits: Edit[] = [];
  if (!driver) {
    const attributes = Object.entries({ name: 'qemu', type: 'raw', ...wanted })
      .filter(([, value]) => value !== null)
      .map(([key, value]) => ` ${key}='${escapeXml(value!)}'`);
    const made = `<driver${attributes.join('')}>${list}</driver>`;
    edits.push({ start: disk.element.open, end: disk.element.open, text: made });
  } else {
    edits.push(...setAttributes(driver, Object.fromEntries(differing), text));
    if (spreads) edits.push(...childEdits(driver, threads, list));
  }
  return { edits, from: from.join(' '), to: to.join(' ') };
}

const iothreadList = (count: number) =>
  `<iothreads>${Array.from({ length: count }, (_, index) => `<iothread id='${index + 1}'/>`).join('')}</iothreads>`;

function sameSpread(threads: Element | undefined, count: number): boolean {
  if (!threads) return count === 0;
  const ids = threads.children.map((thread) => attribute(thread, 'id'));
  return ids.length === count && ids.every((id, index) => id === String(index + 1));
}

/** Puts text in place of a child, or takes the child away where the text is empty. */
function childEdits(parent: Element, there: Element | undefined, text: string): Edit[] {
  if (there) return [{ start: there.start, end: there.end, text }];
  if (text === '') return [];
  if (parent.close !== parent.end) return [{ start: parent.close, end: parent.close, text }];
  // One tag becomes two.
  return [{ start: parent.end - 2, end: parent.end, text: `>${text}</${parent.name}>` }];
}

export function restoreChild(
  disk: Element,
  old: Element | undefined,
  originalText: string,
  currentText: string,
): Edit[] {
  const driver = child(disk, 'driver');
  const before = child(old, 'iothreads');
  const now = child(driver, 'iothreads');
  const text = before ? outerText(before, originalText) : '';
  if (!driver || (now ? outerText(now, currentText) : '') === text) return [];
  return childEdits(driver, now, text);
}

/** A child of the domain itself, as it was. */
export function restoreElement(name: string, current: Domain, original: Domain): Edit[] {
  const now = child(current.root, name);
  const before = child(original.root, name);
  const text = before ? outerText(before, original.text) : '';
  if ((now ? outerText(now, current.text) : '') === text) return [];
  if (now) return [{ start: now.start, end: now.end, text }];
  return [{ start: current.root.open, end: current.root.open, text }];
}

export const outerText = (element: Element, text: string) => text.slice(element.start, element.end);

/** An element's text with edits made, whose places are in the whole text. */
export const editedText = (element: Element, text: string, edits: readonly Edit[]) =>
  applyEdits(
    outerText(element, text),
    edits.map((edit) => ({ ...edit, start: edit.start - element.start, end: edit.end - element.start })),
  );

export const replace = ({ element }: Disk, text: string): Edit => ({
  start: element.start,
  end: element.end,
  text,
});

/** A disk behind a socket, with what libvirt lets such a disk keep: its target, boot order, address and alias. */
export function behindSocket(
  disk: Disk,
  text: string,
  socket: string,
  attributes: Readonly<Record<string, string | null>>,
): string {
  const words = Object.entries(attributes)
    .filter(([, value]) => value !== null)
    .map(([key, value]) => ` ${key}='${escapeXml(value!)}'`);
  const kept = ['target', 'boot', 'address', 'alias']
    .map((name) => child(disk.element, name))
    .map((element) => (element ? outerText(element, text) : ''));
  return `<disk type='vhostuser' device='disk'><driver name='qemu' type='raw'${words.join('')}/><source type='unix' path='${escapeXml(socket)}'><reconnect enabled='yes' timeout='1'/></source>${kept.join('')}</disk>`;
}

export function sharedMemory(root: Element): boolean {
  const backing = child(root, 'memoryBacking');
  return attribute(child(backing, 'access'), 'mode') === 'shared';
}

export function shareMemory({ root }: Domain): Edit[] {
  const backing = child(root, 'memoryBacking');
  const access = child(backing, 'access');
  const source = child(backing, 'source') || child(backing, 'hugepages') ? '' : "<source type='memfd'/>";
  const shared = "<access mode='shared'/>";
  if (!backing)
    return [{ start: root.open, end: root.open, text: `<memoryBacking>${source}${shared}</memoryBacking>` }];
  if (!access) return childEdits(backing, undefined, `${source}${shared}`);
  return [
    { start: access.start, end: access.end, text: shared },
    ...(source === '' ? [] : [{ start: access.start, end: access.start, text: source }]),
  ];
}

export function countIothreads(root: Element): number {
  return Number(child(root, 'iothreads')?.text.trim() ?? '0') || 0;
}

export function enoughIothreads({ root }: Domain, count: number): Edit[] {
  const there = child(root, 'iothreads');
  if (countIothreads(root) >= count) return [];
  const text = `<iothreads>${count}</iothreads>`;
  return there
    ? [{ start: there.start, end: there.end, text }]
    : [{ start: root.open, end: root.open, text }];
}
