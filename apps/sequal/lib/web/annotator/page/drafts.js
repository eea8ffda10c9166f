// What was drawn and is not saved, kept in this browser (IndexedDB): through a reload, a crash, a lost connection.
//
// Two stores: `drafts`, one for each annotator and frame, while it is drawn on; `outbox`, labels that an annotator saved
// and the server did not take yet. Without IndexedDB nothing is kept, and the page says so once.
const STORES = ["drafts", "outbox"];

const asked = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

// Until the browser has written it: a request succeeds earlier, and a page that is left in between takes it back.
const written = (transaction) =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error);
  });

const open = () => {
  const request = indexedDB.open("sequal", 1);
  request.onupgradeneeded = () => STORES.forEach((name) => request.result.createObjectStore(name));
  return asked(request);
};

export class Drafts {
  #database = null;

  // `study` tells apart the studies that this address has served; `me()` is the annotator, who shares a computer perhaps.
  constructor(study, me) {
    this.study = study;
    this.me = me;
  }

  async #store(name, mode, act) {
    this.#database = this.#database || open();
    const database = await this.#database;
    const transaction = database.transaction(name, mode);
    const done = asked(act(transaction.objectStore(name)));
    if (mode === "readwrite") {
      await Promise.all([done, written(transaction)]);
    }
    return done;
  }

  #key(name, image) {
    return name === "drafts" ? `${this.study}/${this.me()}/${image}` : `${this.study}/${image}`;
  }

  async put(name, image, content) {
    await this.#store(name, "readwrite", (store) => store.put({ ...content, image }, this.#key(name, image)));
  }

  async get(name, image) {
    return (await this.#store(name, "readonly", (store) => store.get(this.#key(name, image)))) || null;
  }

  async drop(name, image) {
    await this.#store(name, "readwrite", (store) => store.delete(this.#key(name, image)));
  }

  // Everything of this study in a store: the annotator's own drawings, or all labels that wait.
  async all(name) {
    const range = IDBKeyRange.bound(this.#key(name, ""), this.#key(name, "\uffff"));
    return this.#store(name, "readonly", (store) => store.getAll(range));
  }
}
