import picomatch from 'picomatch';
import { FleetError, type SourcePosition } from '../lib/errors.ts';
import { didYouMean } from '../lib/nearest.ts';
import type { Inventory } from './inventory.ts';
import { expandRange } from './range.ts';

interface Term {
  sign: '' | '&' | '!';
  text: string;
}

/**
 * Hosts that a pattern selects, in inventory order. Terms are joined by `:` or `,`: names of hosts and groups, globs over
 * both (`hv0*`), ranges (`hv[01:10]`); `&term` keeps only what is in it too, `!term` takes away. As with Ansible the order
 * of terms does not matter.
 * @param at the place of the pattern in a file, absent for -l
 * @throws FleetError E_PATTERN for a name that does not exist, and when nothing is selected
 */
export function selectHosts(inventory: Inventory, pattern: string, at?: SourcePosition): readonly string[] {
  const terms = splitPattern(pattern, at);
  const chosen = new Set<string>();
  const positive = terms.filter((term) => term.sign === '');
  for (const term of positive) for (const host of resolveTerm(inventory, term, pattern, at)) chosen.add(host);
  if (positive.length === 0) for (const host of inventory.hosts.keys()) chosen.add(host);
  for (const { sign, hosts } of terms
    .filter((term) => term.sign !== '')
    .map((term) => ({ sign: term.sign, hosts: new Set(resolveTerm(inventory, term, pattern, at)) })))
    for (const host of chosen) if (hosts.has(host) === (sign === '!')) chosen.delete(host);
  if (chosen.size === 0) throw patternError(`the pattern "${pattern}" selects no host`, undefined, at);
  return [...inventory.hosts.keys()].filter((host) => chosen.has(host));
}

function splitPattern(pattern: string, at?: SourcePosition): Term[] {
  const words = pattern
    .split(/[,:](?![^[]*\])/)
    .map((word) => word.trim())
    .filter((word) => word !== '');
  if (words.length === 0) throw patternError('the pattern is empty', 'all selects every host', at);
  return words.map((word) => {
    const sign = word[0] === '!' || word[0] === '&' ? word[0] : '';
    return { sign, text: word.slice(sign.length).trim() };
  });
}

function resolveTerm(
  inventory: Inventory,
  term: Term,
  pattern: string,
  at?: SourcePosition,
): readonly string[] {
  const { text } = term;
  if (inventory.groups.has(text)) return inventory.members(text);
  if (inventory.hosts.has(text)) return [text];
  if (/\[[^\]]*:[^\]]*\]/.test(text)) return rangeTerm(inventory, text, at);
  if (/[*?[{]/.test(text)) {
    const hosts = globTerm(inventory, text);
    if (hosts.length === 0 && term.sign === '')
      throw patternError(`no host or group matches "${text}"`, undefined, at);
    return hosts;
  }
  const names = [...inventory.groups.keys(), ...inventory.hosts.keys()];
  const hint = didYouMean(text, names) ?? `groups: ${[...inventory.groups.keys()].slice(0, 12).join(', ')}`;
  const where = text === pattern ? '' : ` in the pattern "${pattern}"`;
  throw patternError(`no host or group is named "${text}"${where}`, hint, at);
}

function rangeTerm(inventory: Inventory, text: string, at?: SourcePosition): string[] {
  let names: string[];
  try {
    names = expandRange(text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw patternError(error.message, undefined, at);
  }
  const missing = names.find((name) => !inventory.hosts.has(name));
  if (missing !== undefined)
    throw patternError(`"${text}" names ${missing}, which the inventory has not`, undefined, at);
  return names;
}

function globTerm(inventory: Inventory, glob: string): string[] {
  const matches = picomatch(glob, { nonegate: true, noextglob: true, dot: true });
  const hosts = new Set<string>();
  for (const group of inventory.groups.keys())
    if (matches(group)) for (const host of inventory.members(group)) hosts.add(host);
  for (const host of inventory.hosts.keys()) if (matches(host)) hosts.add(host);
  return [...hosts];
}

function patternError(message: string, hint: string | undefined, at: SourcePosition | undefined): FleetError {
  return new FleetError({ code: 'E_PATTERN', message, hint, at });
}
