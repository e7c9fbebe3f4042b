import { z } from 'zod';
import type { KindRegistry } from './playbook.ts';

const words = z
  .union([z.string().min(1), z.array(z.string().min(1))])
  .transform((value) => (typeof value === 'string' ? [value] : value));

const condition = z.union([z.boolean(), z.string().min(1)]);

const serialSize = z.union([
  z.int().min(1),
  z.string().regex(/^(100|[1-9]?[0-9])%$/, 'must be a number of hosts or a percentage such as "10%"'),
]);

const variables = z.record(z.string(), z.unknown()).nullable();

/** What a task may hold beside its one resource kind. */
const taskWords = {
  name: z.string().min(1).max(300).optional().describe('What people see; templates are rendered.'),
  when: z
    .union([condition, z.array(condition)])
    .optional()
    .describe(
      'CEL conditions over variables and facts, all of which must hold: facts.os.id == "debian" && queues > 1',
    ),
  loop: z
    .union([z.array(z.unknown()), z.string().min(1)])
    .optional()
    .describe('A list, or a template that names one: the task is done once for each item, as `item`.'),
  tags: words
    .optional()
    .describe('Chosen by -t; `always` stays with any choice, `never` needs a tag of its own to be named.'),
  notify: words.optional().describe('Handlers of this play that run when this task changes something.'),
  become: z.boolean().optional().describe('Work as root through sudo.'),
  vars: variables.optional().describe('Variables of this task.'),
};

/** Keys of a task that are no resource kind. */
export const taskKeys: readonly string[] = Object.keys(taskWords);

/**
 * The schema of a playbook.
 * @param kinds each is a key of a task
 * @param bodies true: with the schema of each kind's value, as the JSON Schema for editors has it; false: any value, since
 * values hold templates until they are bound to a host
 */
export function playbookSchema(kinds: KindRegistry, bodies = false) {
  const bodyOf = (name: string) => {
    const kind = kinds.get(name)!;
    return (bodies ? kind.schema : z.unknown()).optional().describe(kind.summary);
  };
  const task = z
    .strictObject({
      ...taskWords,
      ...Object.fromEntries([...kinds.keys()].map((name) => [name, bodyOf(name)])),
    })
    .describe('One resource: a name, and one resource kind with its desired state.');
  const tasks = z.array(task).nullable();
  const play = z.strictObject({
    name: z.string().min(1).max(300).optional().describe('What people see.'),
    hosts: z
      .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
      .transform((value) => (typeof value === 'string' ? value : value.join(':')))
      .describe('A pattern over hosts and groups of the inventory: hypervisors, hv0*, a:b, a:&b, a:!b'),
    become: z.boolean().optional().describe('Work as root through sudo; default true.'),
    vars: variables.optional().describe('Variables of all tasks.'),
    serial: z
      .union([serialSize, z.array(serialSize).min(1)])
      .transform((value) => (Array.isArray(value) ? value : [value]))
      .optional()
      .describe(
        'Hosts a batch, or a list of such sizes, the last repeats. The first of several batches is the canary.',
      ),
    max_fail_percentage: z
      .number()
      .min(0)
      .max(100)
      .optional()
      .describe('Stop when more hosts of the play have failed or are unreachable; default 100.'),
    tasks: tasks.optional().describe('Done in order on each host.'),
    handlers: tasks
      .optional()
      .describe('Done after the tasks, where a task that changed notifies them by name.'),
  });
  return z.array(play).min(1).describe('A list of plays.');
}

export type PlayInput = z.output<ReturnType<typeof playbookSchema>>[number];
export type TaskInput = NonNullable<PlayInput['tasks']>[number] & Record<string, unknown>;
