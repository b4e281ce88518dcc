const lines = [
  { name: 'Marie-Galante', to: 'Saint-Denis', everyMinutes: 20 },
  { name: 'Péniche bleue', to: 'La Villette', everyMinutes: 35 },
  { name: 'Le Héron', to: 'Bondy', everyMinutes: 50 },
];

/** The next boat of each line, soonest first: `{ name, to, inMinutes }`. */
export function boats(now) {
  const minute = now.getUTCHours() * 60 + now.getUTCMinutes();
  return lines
    .map(({ name, to, everyMinutes }) => ({ name, to, inMinutes: everyMinutes - (minute % everyMinutes) }))
    .sort((one, other) => one.inMinutes - other.inMinutes);
}
