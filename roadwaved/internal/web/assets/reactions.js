// What a listener sees and says of a live: how many listen, a like, a report,
// where they are.

import { said, saying } from './audience.js';
import { $, counted, show } from './page.js';

export class Reactions {
  #visit;
  #id;

  constructor(id, visit) {
    this.#id = id;
    this.#visit = visit;
    this.#liked(said(`like ${id}`));
    this.#reported(said(`report ${id}`));
    $('like').addEventListener('click', () => this.#like());
    $('report').addEventListener('click', () => {
      show($('report-trouble'), '');
      $('report-dialog').showModal();
    });
    $('report-cancel').addEventListener('click', () => $('report-dialog').close());
    $('report-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#report();
    });
    if (navigator.geolocation && isSecureContext) {
      $('place').hidden = false;
      $('share-place').addEventListener('change', () => this.#place());
    }
    $('reactions').hidden = false;
  }

  // count shows the counters of the live.
  count({ listeners, likes }) {
    show($('listeners'), listeners === undefined ? '' : counted(listeners, 'auditeur'));
    $('likes').textContent = likes ? likes.toLocaleString('fr') : '';
  }

  // end is when there is nothing left to say.
  end() {
    $('reactions').hidden = true;
    show($('listeners'), '');
    if ($('report-dialog').open) $('report-dialog').close();
  }

  async #like() {
    if ($('like').ariaPressed === 'true') return;
    this.#liked(true);
    try {
      const answer = await this.#visit.like();
      saying(`like ${this.#id}`);
      // The counters follow within seconds; who pressed sees it at once.
      $('likes').textContent = Math.max(answer.likes + (answer.first ? 1 : 0), 1).toLocaleString('fr');
      show($('reaction-trouble'), '');
    } catch (error) {
      this.#liked(false);
      show($('reaction-trouble'), error.message || 'Votre « j’aime » n’a pas pu être envoyé.');
    }
  }

  #liked(yes) { $('like').ariaPressed = String(yes); }

  async #report() {
    const category = new FormData($('report-form')).get('category');
    if (!category) return;
    $('report-send').disabled = true;
    try {
      await this.#visit.report(category);
      saying(`report ${this.#id}`);
      this.#reported(true);
      $('report-dialog').close();
      $('thanks').focus();
    } catch (error) {
      show($('report-trouble'), error.message || 'Votre signalement n’a pas pu être envoyé.');
    }
    $('report-send').disabled = false;
  }

  #reported(yes) {
    $('report').hidden = yes;
    $('thanks').hidden = !yes;
  }

  #place() {
    const box = $('share-place');
    show($('reaction-trouble'), '');
    if (!box.checked) return this.#visit.moveTo(undefined);
    navigator.geolocation.getCurrentPosition(
      // A hundred metres are near enough.
      ({ coords }) => box.checked && this.#visit.moveTo({ lat: Number(coords.latitude.toFixed(3)), lon: Number(coords.longitude.toFixed(3)) }),
      () => {
        box.checked = false;
        show($('reaction-trouble'), 'Votre position n’est pas disponible.');
      },
      { timeout: 20_000, maximumAge: 300_000 },
    );
  }
}
