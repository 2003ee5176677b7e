// Memory of this process, as the kernel counts it.
#pragma once

namespace tare::demo {

// Resident now, KiB; 0 if /proc is not there.
long resident_kib();
// The most that was resident so far, KiB.
long peak_resident_kib();

}  // namespace tare::demo
