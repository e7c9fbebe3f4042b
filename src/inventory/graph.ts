import type { Inventory } from './inventory.ts';

/**
 * The groups as a tree of text lines, `@` before a group's name, as ansible-inventory --graph shows them.
 * @param only hosts to show; absent shows all
 */
export function graphLines(inventory: Inventory, only?: ReadonlySet<string>): string[] {
  const lines: string[] = ['@all:'];
  const walk = (name: string, indent: string): void => {
    const group = inventory.groups.get(name);
    const inside = new Set(group?.children.flatMap((child) => inventory.members(child)) ?? []);
    for (const child of group?.children ?? []) {
      if (child === 'ungrouped' && inventory.members(child).length === 0) continue;
      if (only !== undefined && !inventory.members(child).some((host) => only.has(host))) continue;
      lines.push(`${indent}|--@${child}:`);
      walk(child, `${indent}|  `);
    }
    // A host that a group below shows is not shown again.
    for (const host of group?.hosts ?? [])
      if (!inside.has(host) && (only?.has(host) ?? true)) lines.push(`${indent}|--${host}`);
  };
  walk('all', '  ');
  return lines;
}
