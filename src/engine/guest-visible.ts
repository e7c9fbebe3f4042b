import type { HostReport } from '../events/events.ts';

const MAX_NAMES = 6;

/**
 * Values that guests see and that are not the same on all hosts that tell them, though each host may be as declared.
 * @returns a line a value
 */
export function guestVisibleDifferences(hosts: readonly HostReport[]): string[] {
  const values = new Map<string, Map<string, string[]>>();
  for (const { name, tasks } of hosts)
    for (const { guestVisible = {} } of tasks)
      for (const [subject, value] of Object.entries(guestVisible)) {
        const known = values.get(subject) ?? new Map<string, string[]>();
        values.set(subject, known);
        const names = known.get(value) ?? [];
        known.set(value, names);
        if (!names.includes(name)) names.push(name);
      }
  return [...values]
    .filter(([, known]) => known.size > 1)
    .map(([subject, known]) => {
      const sides = [...known].map(([value, names]) => `${value} on ${listed(names)}`);
      return `${subject} differs: ${sides.join('; ')}. A guest can not migrate between these hosts`;
    });
}

function listed(names: readonly string[]): string {
  const rest = names.length - MAX_NAMES;
  return names.slice(0, MAX_NAMES).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}
