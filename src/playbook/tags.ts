import { FleetError } from '../lib/errors.ts';
import { didYouMean } from '../lib/nearest.ts';
import type { CompiledTask } from './playbook.ts';

/**
 * Whether -t chooses a task, by Ansible's rules: `always` is chosen whatever is asked for, `never` only where one of its
 * tags is named; `all`, `tagged` and `untagged` are words of their own. Handlers are chosen by notify alone.
 * @param wanted absent or empty chooses all but `never`
 */
export function isChosen(task: CompiledTask, wanted: readonly string[] | undefined): boolean {
  if (task.handler) return true;
  const never = task.tags.includes('never');
  if (wanted === undefined || wanted.length === 0) return !never;
  if (wanted.some((tag) => task.tags.includes(tag))) return true;
  if (never) return false;
  if (task.tags.includes('always') || wanted.includes('all')) return true;
  return wanted.includes(task.tags.length > 0 ? 'tagged' : 'untagged');
}

/** @throws FleetError E_USAGE for a tag that no task has: nothing would be done, and nobody would notice */
export function checkTags(tasks: readonly CompiledTask[], wanted: readonly string[]): void {
  if (wanted.length === 0) throw new FleetError({ code: 'E_USAGE', message: '-t names no tag' });
  const known = new Set(['always', 'never', 'all', 'tagged', 'untagged', ...tasks.flatMap((t) => t.tags)]);
  const unknown = wanted.filter((tag) => !known.has(tag));
  if (unknown.length === 0) return;
  const own = [...new Set(tasks.flatMap((task) => task.tags))];
  throw new FleetError(
    unknown.map((tag) => ({
      code: 'E_USAGE',
      message: `no task has the tag "${tag}"`,
      hint: didYouMean(tag, known) ?? (own.length > 0 ? `tags: ${own.join(', ')}` : 'no task has any tag'),
    })),
  );
}
