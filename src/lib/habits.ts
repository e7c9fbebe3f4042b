/** What to write instead: a text, or one made of the value that was found; undefined where the habit does not apply. */
export type Habit = string | ((value: unknown) => string | undefined);

/**
 * Hints for what people write out of habit, by where it stands: the key; `KEY.*` for whatever stands below that key;
 * '' for the whole value. A schema's error says what is wrong, these what to write.
 */
export type Habits = Readonly<Record<string, Habit>>;

/**
 * The hint for a value that a schema refuses.
 * @param path where it stands in what the schema checks
 */
export function habitHint(
  habits: Habits,
  path: readonly (string | number)[],
  value: unknown,
): string | undefined {
  const names = path.length === 0 ? [''] : [String(path.at(-1)), `${path.at(-2) ?? ''}.*`];
  for (const name of names) {
    if (!Object.hasOwn(habits, name)) continue;
    const habit = habits[name]!;
    const hint = typeof habit === 'string' ? habit : habit(value);
    if (hint !== undefined) return hint;
  }
  return undefined;
}
