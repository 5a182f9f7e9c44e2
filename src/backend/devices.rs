//! Which adapters there are, whether each would be taken and why, and what hides a card: data for the `devices`
//! command, nothing is printed here.

use serde::Serialize;

/// What the `devices` command shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceList {
    pub adapters: Vec<AdapterEntry>,
    /// What may hide a card, and what to do about it: sentences for people.
    pub hints: Vec<String>,
}

/// One adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AdapterEntry {
    pub name: String,
    /// The interface it is reached through: vulkan, dx12 or metal.
    pub interface: String,
    /// discrete, integrated, virtual, software or other.
    pub kind: &'static str,
    pub driver: String,
    /// Four hexadecimal digits, as in `10de:2684`.
    pub pci_vendor: String,
    pub pci_device: String,
    /// Like `0000:01:00.0`; empty where the driver does not say.
    pub pci_bus: String,
    pub max_buffer_bytes: u64,
    pub max_binding_bytes: u64,
    pub max_workgroup_invocations: u32,
    pub max_workgroup_memory_bytes: u32,
    /// Whether `--backend gpu` without a name would take it.
    pub taken: bool,
    pub why: String,
}

/// Lists the adapters and what may hide others.
pub fn list() -> DeviceList {
    let adapters = adapters();
    let hints = Surroundings::of_this_process().hints(&adapters);
    DeviceList { adapters, hints }
}

#[cfg(not(feature = "gpu"))]
fn adapters() -> Vec<AdapterEntry> {
    Vec::new()
}

#[cfg(feature = "gpu")]
fn adapters() -> Vec<AdapterEntry> {
    super::gpu::device::entries()
}

/// What a process can see of the machine's cards without a driver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Device files of NVIDIA's driver are there (`/dev/nvidiactl`).
    pub nvidia_files: bool,
    /// Device files of other cards are there (`/dev/dri`).
    pub dri_files: bool,
    /// A device file of `/dev/dri` cannot be opened for want of permission.
    pub dri_refused: bool,
    /// The virtual card of Windows' Linux (`/dev/dxg`).
    pub dxg_file: bool,
    pub nvidia_driver_capabilities: Option<String>,
    pub nvidia_visible_devices: Option<String>,
    /// `VK_DRIVER_FILES` or `VK_ICD_FILENAMES`: the loader reads these files and no others.
    pub driver_files_forced: Option<String>,
    /// Names of the Vulkan drivers' manifests.
    pub driver_manifests: Vec<String>,
}

/// Where the Vulkan loader looks for drivers' manifests on Linux.
const MANIFEST_FOLDERS: [&str; 3] = ["/etc/vulkan/icd.d", "/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];

impl Surroundings {
    /// Looks at device files, drivers' manifests and the settings of NVIDIA's container runtime.
    pub fn of_this_process() -> Self {
        let there = |path: &str| std::path::Path::new(path).exists();
        let setting = |name: &str| std::env::var(name).ok();
        let names = |folder: &str| -> Vec<std::path::PathBuf> {
            std::fs::read_dir(folder)
                .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
                .unwrap_or_default()
        };
        let refused = |path: &std::path::PathBuf| {
            std::fs::File::open(path).is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
        };
        let mut driver_manifests: Vec<String> = (MANIFEST_FOLDERS.iter().flat_map(|folder| names(folder)))
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect();
        driver_manifests.sort();
        Self {
            nvidia_files: there("/dev/nvidiactl"),
            dri_files: there("/dev/dri"),
            dri_refused: names("/dev/dri").iter().any(refused),
            dxg_file: there("/dev/dxg"),
            nvidia_driver_capabilities: setting("NVIDIA_DRIVER_CAPABILITIES"),
            nvidia_visible_devices: setting("NVIDIA_VISIBLE_DEVICES"),
            driver_files_forced: setting("VK_DRIVER_FILES").or_else(|| setting("VK_ICD_FILENAMES")),
            driver_manifests,
        }
    }

    /// Why a card may be hidden, given the adapters that are not.
    pub fn hints(&self, adapters: &[AdapterEntry]) -> Vec<String> {
        let mut hints = Vec::new();
        if !cfg!(feature = "gpu") {
            hints.push("this build lacks the feature `gpu`: build with it to use a card".to_owned());
            return hints;
        }
        if !cfg!(target_os = "linux") {
            return hints;
        }
        let hardware = adapters.iter().any(|adapter| adapter.kind != "software");
        let nvidia_seen = adapters.iter().any(|adapter| adapter.pci_vendor == NVIDIA_PCI_VENDOR);
        if let Some(files) = &self.driver_files_forced
            && !hardware
        {
            hints.push(format!("VK_DRIVER_FILES or VK_ICD_FILENAMES lets the loader see {files} alone"));
        }
        if self.nvidia_files && !nvidia_seen {
            hints.push(self.nvidia_hint());
        }
        if hardware {
            return hints;
        }
        if self.nvidia_visible_devices.as_deref().is_some_and(|devices| matches!(devices, "" | "void" | "none")) {
            hints
                .push("NVIDIA_VISIBLE_DEVICES hides every NVIDIA card from this container: set it to `all`".to_owned());
        }
        if self.dri_refused {
            hints.push("a file in /dev/dri cannot be opened: add the user to the group `render`, or the container's user with `--group-add`".to_owned());
        }
        if !self.nvidia_files && !self.dri_files && !self.dxg_file {
            hints.push(
                "no card is passed in: neither /dev/dri nor /dev/nvidiactl exists (containers: `--device /dev/dri`, or `--gpus all` for NVIDIA)"
                    .to_owned(),
            );
        }
        if self.driver_manifests.is_empty() && self.driver_files_forced.is_none() {
            hints.push(format!(
                "no Vulkan driver is installed: no file in {} (Debian: mesa-vulkan-drivers)",
                MANIFEST_FOLDERS.join(", ")
            ));
        }
        hints
    }

    /// The card's device files are there, its Vulkan driver is not.
    fn nvidia_hint(&self) -> String {
        match &self.nvidia_driver_capabilities {
            Some(capabilities) if !capabilities.split(',').any(|word| matches!(word.trim(), "all" | "graphics")) => {
                format!(
                    "NVIDIA_DRIVER_CAPABILITIES={capabilities} lacks `graphics`, with which the Vulkan driver comes: \
                     start the container with NVIDIA_DRIVER_CAPABILITIES=compute,utility,graphics"
                )
            }
            _ if !self.driver_manifests.iter().any(|name| name.contains("nvidia")) => {
                "an NVIDIA card is there, but no nvidia_icd.json tells the Vulkan loader of its driver: install the \
                 driver's Vulkan part, or start the container with NVIDIA_DRIVER_CAPABILITIES=compute,utility,graphics"
                    .to_owned()
            }
            _ => "an NVIDIA card is there, but its Vulkan driver does not load: compare its version with the kernel module's"
                .to_owned(),
        }
    }
}

/// PCI-SIG's number of NVIDIA.
const NVIDIA_PCI_VENDOR: &str = "10de";

#[cfg(test)]
mod tests {
    use super::{AdapterEntry, NVIDIA_PCI_VENDOR, Surroundings};

    fn adapter(kind: &'static str, pci_vendor: &str) -> AdapterEntry {
        AdapterEntry {
            name: "card".to_owned(),
            interface: "vulkan".to_owned(),
            kind,
            driver: String::new(),
            pci_vendor: pci_vendor.to_owned(),
            pci_device: "2684".to_owned(),
            pci_bus: String::new(),
            max_buffer_bytes: 0,
            max_binding_bytes: 0,
            max_workgroup_invocations: 0,
            max_workgroup_memory_bytes: 0,
            taken: false,
            why: String::new(),
        }
    }

    #[cfg(all(feature = "gpu", target_os = "linux"))]
    #[test]
    fn container_setting_that_hides_a_card_is_named() {
        let hidden = Surroundings {
            nvidia_files: true,
            nvidia_driver_capabilities: Some("compute,utility".to_owned()),
            driver_manifests: vec!["lvp_icd.x86_64.json".to_owned()],
            ..Surroundings::default()
        };
        let software = [adapter("software", "10005")];
        assert!(hidden.hints(&software)[0].contains("lacks `graphics`"));
        let all = Surroundings { nvidia_driver_capabilities: Some("all".to_owned()), ..hidden.clone() };
        assert!(all.hints(&software)[0].contains("nvidia_icd.json"));
        // Once the card is seen, nothing hides it.
        assert!(hidden.hints(&[adapter("discrete", NVIDIA_PCI_VENDOR)]).is_empty());
        let nothing = Surroundings::default().hints(&[]);
        assert!(nothing.iter().any(|hint| hint.contains("/dev/dri")));
        assert!(nothing.iter().any(|hint| hint.contains("no Vulkan driver")));
        let refused = Surroundings { dri_files: true, dri_refused: true, ..Surroundings::default() };
        assert!(refused.hints(&[]).iter().any(|hint| hint.contains("`render`")));
    }

    #[cfg(not(feature = "gpu"))]
    #[test]
    fn build_without_gpu_says_so() {
        let _ = (adapter("software", NVIDIA_PCI_VENDOR), super::list());
        assert!(Surroundings::default().hints(&[])[0].contains("lacks the feature"));
    }
}
