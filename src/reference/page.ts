import { z } from 'zod';
import { ansibleOthers, ansibleWords as connectionNames } from '../inventory/habits.ts';
import { connectionDefaults, groupSchema, varsSchema } from '../inventory/schema.ts';
import { celFunctions } from '../playbook/cel.ts';
import { literal } from '../playbook/compiled.ts';
import { compileCondition } from '../playbook/condition.ts';
import { facts } from '../playbook/facts-schema.ts';
import { liquid } from '../playbook/liquid.ts';
import type { KindRegistry } from '../playbook/playbook.ts';
import { playbookSchema } from '../playbook/schema.ts';
import { Scope } from '../playbook/scope.ts';
import { compileTemplate } from '../playbook/template.ts';
import { jinjaFilters } from '../playbook/template-habits.ts';
import { ansibleModules, ansibleWords, missingModules } from '../playbook/words.ts';
import type { ResourceKind } from '../resources/kind.ts';
import { conditionExamples, filterExamples, tagExamples } from './examples.ts';
import { type FieldSchema, fieldsOf, fieldTable, table } from './fields.ts';
import { sampleFacts, sampleVariables } from './sample.ts';

/** The reference of playbooks and inventories as Markdown, made of the schemas and tables that the code itself uses. */
export function referencePage(kinds: KindRegistry): string {
  return `${[head(), words(kinds), ...[...kinds.values()].map(kindSection), conditions(), templates(), inventories(), fromAnsible()].join('\n\n')}\n`;
}

function head(): string {
  return `<!-- Made by \`npm run build\` of the schemas and tables in src/: change those. -->

# Playbooks and inventories

[Plays](#plays) and [tasks](#tasks), [resource kinds](#resource-kinds), [conditions](#conditions) and [facts](#facts),
[templates](#templates), [inventories](#inventories), and [what Ansible has and this has not](#coming-from-ansible). Editors
check files as they are typed with the JSON Schemas of \`blkfleet schema playbook\` and \`blkfleet schema inventory\`;
\`blkfleet validate PLAYBOOK -i INVENTORY\` says what is wrong, where, and what to write instead, and contacts nothing.

    - name: no telnet on any hypervisor
      hosts: hypervisors
      serial: [1, "10%"]
      tasks:
        - name: no telnet client
          when: facts.os.id == "debian"
          package: { name: telnet, state: absent }`;
}

function words(kinds: KindRegistry): string {
  const schema = z.toJSONSchema(playbookSchema(kinds), { io: 'input', unrepresentable: 'any' }) as {
    $defs: Record<string, FieldSchema>;
  };
  const { play, task, handler } = schema.$defs;
  const kindNames = new Set(kinds.keys());
  const kindRows = [...kinds.values()].map(({ kind, summary }) => [`[\`${kind}\`](#${kind})`, summary]);
  return `## Plays

A playbook is a list of plays. Each is a map of:

${fieldTable(play!)}

## Tasks

Each task has one resource kind, the key that says what it declares, and of these words what it needs:

${fieldTable(task!, { without: kindNames })}

Tasks are applied in order. A task that does not hold after it was applied is a failure, and its host goes no further. Two tasks
that say different things of one file, package, module or profile on the same host are refused.

## Handlers

A handler is a task that runs only where one that changes something notifies it, once, after the tasks of its play:

${fieldTable(handler!, { without: kindNames })}

# Resource kinds

Any value below a kind's key may be a [template](#templates); the keys themselves may not.

${table(['kind', 'declares'], kindRows)}`;
}

function kindSection({ kind, summary, schema, example }: ResourceKind): string {
  return `## ${kind}

${summary}.

${fieldTable(fieldsOf(schema))}

\`\`\`yaml
${example.trim()}
\`\`\``;
}

const sampleScope = () =>
  new Scope([new Map(Object.entries(sampleVariables).map(([name, value]) => [name, literal(value)]))], true);

function conditions(): string {
  const examples = conditionExamples.map(([condition, shows]) => {
    if (!holds(condition)) throw new Error(`the example does not hold: ${condition}`);
    return [`\`${condition}\``, shows];
  });
  return `# Conditions

\`when\` is an expression in [CEL](https://cel.dev), the Common Expression Language, over the variables of the host and what it
answered, \`facts\`; without braces. It must give true or false. An undefined variable is an error, except behind
\`"name" in vars &&\`. Each of these holds on the host whose facts and variables stand below:

${table(['condition', 'shows'], examples)}

Functions:

${table(
  ['function', 'gives'],
  Object.entries(celFunctions).map(([name, text]) => [`\`${name}\``, text]),
)}

### Facts

${table(
  ['fact', 'type', 'here', 'meaning'],
  facts.map(({ path, type, text }) => [
    `\`facts.${path}\``,
    type,
    `\`${JSON.stringify(valueAt(sampleFacts, path))}\``,
    text,
  ]),
)}

### Variables of the examples

\`\`\`yaml
${Object.entries(sampleVariables)
  .map(([name, value]) => `${name}: ${JSON.stringify(value)}`)
  .join('\n')}
\`\`\``;
}

function holds(condition: string): boolean {
  const decision = compileCondition(condition).decide(sampleScope());
  return typeof decision === 'boolean' ? decision : decision(sampleFacts);
}

function templates(): string {
  const { filters, tags } = liquid();
  return `# Templates

\`{{ … }}\` and \`{% … %}\` are [Liquid](https://liquidjs.com), in values of tasks, in variables and in the files that \`template:\`
names. They are strict: an undefined variable or filter is an error. A value that is one \`{{ … }}\` alone keeps its type, so
\`"{{ disks }}"\` is a list. There are no operators: \`{{ count | plus: 1 }}\`. A filter's arguments stand behind a colon:
\`{{ x | default: 3 }}\`. YAML needs quotes around a value that begins with a brace. Facts come after templates are rendered, so
only conditions have them.

Beside your own variables there are \`inventory_hostname\`, \`group_names\` (the host's groups without \`all\`), \`groups\` (the hosts
of each group), and in a task with \`loop\` \`item\`. A later one wins: groups from the outer to the inner, the host, the play, the
task.

## Tags

${table(['tag', 'example', 'gives'], examplesOf(Object.keys(tags), tagExamples))}

## Filters

${table(['filter', 'example', 'gives'], examplesOf(Object.keys(filters), filterExamples))}`;
}

/** Renders the example of each name, in the order of the examples. @throws Error where one has none, or is of none */
function examplesOf(names: readonly string[], examples: Readonly<Record<string, string>>): string[][] {
  const missing = names.filter((name) => !Object.hasOwn(examples, name));
  const unknown = Object.keys(examples).filter((name) => !names.includes(name));
  if (missing.length + unknown.length > 0)
    throw new Error(`examples: missing ${missing.join(', ')}; unknown ${unknown.join(', ')}`);
  return Object.entries(examples).map(([name, text]) => [
    `\`${name}\``,
    `\`${text}\``,
    `\`${String(compileTemplate(text).render(sampleScope(), false)).trim()}\``,
  ]);
}

function inventories(): string {
  return `# Inventories

An inventory is one map, \`all\`, a group. [inventory.example.yaml](../inventory.example.yaml) is a complete one. A group is a map of:

${fieldTable(fieldsOf(groupSchema))}

Names of hosts and groups are what \`hosts\` of a play and \`-l\` select: \`hypervisors\`, \`hv0*\`, \`hv[01:10]\`, \`a:b\` (both), \`a:&b\`
(in both), \`a:!b\` (not in b). These variables of a host or group say how the host is reached, and take no templates; all others
are your own:

${fieldTable(fieldsOf(varsSchema), { defaults: connectionDefaults })}`;
}

function fromAnsible(): string {
  const rows = (list: Readonly<Record<string, string>>) =>
    Object.entries(list).map(([theirs, ours]) => [`\`${theirs}\``, /[|{]/.test(ours) ? `\`${ours}\`` : ours]);
  const head = ['Ansible', 'here'];
  const modules = Object.entries(ansibleModules).map(([theirs, ours]) => [
    `\`${theirs}\``,
    `[\`${ours}\`](#${ours})`,
  ]);
  return `# Coming from Ansible

Modules, and the kind that declares the same, or what to do instead:

${table(head, [...modules, ...rows(missingModules)])}

Words of plays and tasks that are not there:

${table(head, rows(ansibleWords))}

Filters of Jinja:

${table(head, rows(jinjaFilters))}

Variables of the connection:

${table(head, [...Object.entries(connectionNames).map(([theirs, ours]) => [`\`${theirs}\``, `\`${ours}\``]), ...rows(ansibleOthers)])}`;
}

function valueAt(root: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((value, step) => (value as Record<string, unknown>)[step], root);
}
