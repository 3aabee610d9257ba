//! Building a large tree, in process.

use std::time::Instant;

use anyhow::Result;
use ferrite_tree::MemoryTree;

use crate::figure;

const DOCUMENTS: usize = 4000;
const ROUNDS: usize = 5;

/// 4000 ConfigMaps and Deployments in 40 files, with a namespace, labels, an image and a patch on top.
pub(crate) fn four_thousand_documents() -> Result<()> {
    let tree = tree()?;
    let mut best = f64::MAX;
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let build = ferrite_kustomize::build(&tree, ".", &ferrite_kustomize::Options::default())?;
        bytes = build.to_yaml().len();
        best = best.min(start.elapsed().as_secs_f64() * 1000.0);
    }
    figure(
        "kustomize-4000-documents",
        &[("best_ms", format!("{best:.0}")), ("output_bytes", bytes.to_string())],
    );
    Ok(())
}

fn tree() -> Result<MemoryTree> {
    let mut files = Vec::new();
    let per_file = 100;
    let mut kustomization = String::from(
        "namespace: bench\nlabels:\n- pairs: {team: bench}\nimages:\n- name: web\n  newTag: v2\nresources:\n",
    );
    for file in 0..DOCUMENTS / per_file {
        let name = format!("part-{file}.yaml");
        kustomization.push_str(&format!("- {name}\n"));
        let documents: Vec<String> = (0..per_file).map(|n| document(file * per_file + n)).collect();
        files.push((name, documents.join("---\n")));
    }
    files.push(("kustomization.yaml".to_owned(), kustomization));
    let mut tree = MemoryTree::builder();
    for (path, text) in files {
        tree.insert(&path, text.as_bytes(), false)?;
    }
    Ok(tree.build())
}

fn document(number: usize) -> String {
    if number.is_multiple_of(2) {
        return format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: config-{number}\ndata:\n  key: value-{number}\n  other: \"true\"\n"
        );
    }
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web-{number}\nspec:\n  replicas: 2\n  selector:\n    matchLabels:\n      app: web-{number}\n  template:\n    metadata:\n      labels:\n        app: web-{number}\n    spec:\n      containers:\n      - name: web\n        image: web:v1\n        ports:\n        - containerPort: 8080\n        envFrom:\n        - configMapRef:\n            name: config-{}\n",
        number - 1
    )
}
