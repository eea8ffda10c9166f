// What was drawn and is not saved, kept in this browser (IndexedDB): through a reload, a crash, a lost connection.
//
// Two stores: `drafts`, one a frame, while it is drawn on; `outbox`, labels that the annotator saved and the server did
// not take yet. Without IndexedDB nothing is kept, and the page says so once.
const STORES = ["drafts", "outbox"];

const asked = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

const open = () => {
  const request = indexedDB.open("sequal", 1);
  request.onupgradeneeded = () => STORES.forEach((name) => request.result.createObjectStore(name));
  return asked(request);
};

export class Drafts {
  #database = null;

  // `study` tells apart the studies that this address has served.
  constructor(study) {
    this.study = study;
  }

  async #store(name, mode, act) {
    this.#database = this.#database || open();
    const database = await this.#database;
    return asked(act(database.transaction(name, mode).objectStore(name)));
  }

  #key(image) {
    return `${this.study}/${image}`;
  }

  async put(name, image, content) {
    await this.#store(name, "readwrite", (store) => store.put({ ...content, image }, this.#key(image)));
  }

  async get(name, image) {
    return (await this.#store(name, "readonly", (store) => store.get(this.#key(image)))) || null;
  }

  async drop(name, image) {
    await this.#store(name, "readwrite", (store) => store.delete(this.#key(image)));
  }

  // Everything of this study in a store, by image.
  async all(name) {
    const range = IDBKeyRange.bound(`${this.study}/`, `${this.study}/\uffff`);
    return this.#store(name, "readonly", (store) => store.getAll(range));
  }
}
