'use strict';
// A table sorts by the column that is clicked: numbers from the largest, words from A.
for (const button of document.querySelectorAll('th button')) {
  button.addEventListener('click', () => {
    const th = button.closest('th');
    const table = th.closest('table');
    const body = table.tBodies[0];
    const rows = Array.from(body.rows);
    const cell = row => row.cells[th.cellIndex];
    const numbers = rows.length > 0 && cell(rows[0]).dataset.n !== undefined;
    const order = th.getAttribute('aria-sort');
    const down = order === null ? numbers : order === 'ascending';
    const sign = down ? -1 : 1;
    rows.sort((a, b) => sign * (numbers
        ? cell(a).dataset.n - cell(b).dataset.n
        : cell(a).textContent.localeCompare(cell(b).textContent)));
    body.append(...rows);
    for (const other of table.querySelectorAll('th')) other.removeAttribute('aria-sort');
    th.setAttribute('aria-sort', down ? 'descending' : 'ascending');
  });
}
