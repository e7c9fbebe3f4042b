import { FleetError } from '../lib/errors.ts';
import { didYouMean } from '../lib/nearest.ts';
import type { Playbook } from './playbook.ts';

const special = ['all', 'tagged', 'untagged', 'always', 'never'];

/** Whether -t chooses a task, by Ansible's rules; without -t all but those tagged `never`. */
export function isChosen(tags: readonly string[], chosen: readonly string[] | undefined): boolean {
  const named = chosen?.some((tag) => tags.includes(tag)) ?? false;
  if (tags.includes('never') && !named) return false;
  if (chosen === undefined || named || tags.includes('always')) return true;
  return (
    chosen.includes('all') ||
    (chosen.includes('tagged') && tags.length > 0) ||
    (chosen.includes('untagged') && tags.length === 0)
  );
}

/** @throws FleetError E_USAGE for a tag that no task has: nothing would be done, and nobody would notice */
export function checkTags(playbook: Playbook, chosen: readonly string[]): void {
  const known = new Set(playbook.plays.flatMap((play) => play.tasks.flatMap((task) => task.tags)));
  const unknown = chosen.find((tag) => !known.has(tag) && !special.includes(tag));
  if (unknown === undefined && chosen.length > 0) return;
  throw new FleetError({
    code: 'E_USAGE',
    message: unknown === undefined ? '-t names no tag' : `no task has the tag "${unknown}"`,
    hint:
      (unknown === undefined ? undefined : didYouMean(unknown, known)) ??
      (known.size > 0
        ? `tags of this playbook: ${[...known].sort().join(', ')}`
        : 'this playbook has no tags'),
  });
}
