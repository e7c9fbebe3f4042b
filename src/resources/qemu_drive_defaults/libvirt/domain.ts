import { attribute, child, type Element, parseDocuments } from './xml.ts';

/** A disk of a domain's persistent definition. */
export interface Disk {
  /** name in the guest's eyes, such as vda; one a domain */
  target: string;
  bus: string;
  /** block, file, vhostuser, network, volume, … */
  type: string;
  /** the path of a block device, a file or a socket; null for others */
  source: string | null;
  element: Element;
}

/** A domain's persistent definition, as `virsh dumpxml --inactive` prints it. */
export interface Domain {
  uuid: string;
  /** latin1, a character a byte; may hold anything but / and line breaks */
  name: string;
  /** the XML, without white space around it; places of elements are in this text */
  text: string;
  root: Element;
  disks: readonly Disk[];
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export const isUuid = (text: string) => UUID.test(text);

/**
 * Reads definitions that follow each other.
 * @throws XmlError where it is no XML, RangeError where it is not of domains
 */
export function parseDomains(output: string): Domain[] {
  return parseDocuments(output).map((root) => parseDomain(output.slice(root.start, root.end)));
}

function parseDomain(text: string): Domain {
  const root = parseDocuments(text)[0]!;
  const uuid = child(root, 'uuid')?.text.trim() ?? '';
  const name = child(root, 'name')?.text ?? '';
  if (root.name !== 'domain' || !isUuid(uuid) || name === '')
    throw new RangeError('a definition without name or uuid');
  const disks = (child(root, 'devices')?.children ?? [])
    .filter((element) => element.name === 'disk' && (attribute(element, 'device') ?? 'disk') === 'disk')
    .map((element): Disk => {
      const source = child(element, 'source');
      const target = child(element, 'target');
      return {
        target: attribute(target, 'dev') ?? '',
        bus: attribute(target, 'bus') ?? '',
        type: attribute(element, 'type') ?? 'file',
        source: attribute(source, 'dev') ?? attribute(source, 'file') ?? attribute(source, 'path') ?? null,
        element,
      };
    });
  return { uuid, name, text, root, disks };
}
