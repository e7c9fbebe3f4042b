/** Names that bind gives to every task; no file may define them. */
export const reservedVariables: readonly string[] = [
  'item',
  'inventory_hostname',
  'group_names',
  'groups',
  'facts',
  'vars',
  'forloop',
  'true',
  'false',
  'null',
  'nil',
  'empty',
  'blank',
];

/** Why a name can not be a variable, or undefined where it can. */
export function variableNameProblem(name: string): string | undefined {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,99}$/.test(name))
    return `"${name}" can not be the name of a variable: letters, digits and _ only`;
  if (reservedVariables.includes(name)) return `"${name}" is a name of blkfleet's own and can not be defined`;
  return undefined;
}
