// What the bridge asks of the MONAI Label server that the viewer came from.
(function (sequal) {
  "use strict";

  const url = (path, query) => {
    const found = new URL(path, window.location.origin);
    Object.entries(query || {}).forEach(([key, value]) => found.searchParams.set(key, value));
    return found;
  };

  // The reply as JSON; an Error with the server's own reason when it refuses.
  const ask = async (path, query, options) => {
    let reply;
    try {
      reply = await fetch(url(path, query), options);
    } catch (error) {
      throw new Error("The server does not answer. What you drew is still in this window; try again.");
    }
    const text = await reply.text();
    let content = null;
    try {
      content = JSON.parse(text);
    } catch (error) {
      content = null; // a bare text, as an error page of a proxy is
    }
    if (!reply.ok) {
      const detail = content && content.detail;
      throw new Error(typeof detail === "string" ? detail : `${reply.status} ${reply.statusText}. ${text}`.slice(0, 500));
    }
    return content;
  };

  // One name for each browser, so that two annotators are not given the same image.
  const annotator = () => {
    try {
      const known = localStorage.getItem("sequal-annotator");
      const name = known || `ohif-${Math.random().toString(36).slice(2, 10)}`;
      localStorage.setItem("sequal-annotator", name);
      return name;
    } catch (error) {
      return "ohif"; // storage is switched off in this browser
    }
  };

  // Call `act` with the address of every finished request of the page (OHIF's own, too) whose path starts so.
  sequal.onRequest = (path, act) => {
    const watch = new PerformanceObserver((list) =>
      list
        .getEntries()
        .map((entry) => new URL(entry.name, window.location.origin))
        .filter(({ pathname, origin }) => origin === window.location.origin && pathname.startsWith(path))
        .forEach(act)
    );
    watch.observe({ type: "resource" });
    return () => watch.disconnect();
  };

  sequal.server = {
    info: () => ask("/info/"),
    // The server fetches the image, so that a label of it can be kept even if the PACS goes down before it is saved.
    fetchImage: (image) => ask("/datastore/image", { image }, { method: "HEAD" }),
    measurement: (image) => ask("/sequal/measurement", { image }),
    // The server answers 404 when nothing runs.
    isTraining: () => ask("/train/", { check_if_running: true }).then(Boolean, () => false),
    nextSample: (strategy) =>
      ask(`/activelearning/${encodeURIComponent(strategy)}`, {}, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ client_id: annotator() }),
      }),
    // voxels: Uint8Array, x fastest, slices in OHIF's order, which is the order of the masks that the server sends.
    saveLabel: (image, voxels, labels) => {
      const form = new FormData();
      const label_info = Object.entries(labels).map(([name, idx]) => ({ name, idx, model_name: "carotid" }));
      form.append("params", JSON.stringify({ label_info, client_id: annotator() }));
      form.append("label", new Blob([voxels]), "label.bin");
      return ask("/datastore/label", { image }, { method: "PUT", body: form });
    },
  };
})((window.sequal = window.sequal || {}));
