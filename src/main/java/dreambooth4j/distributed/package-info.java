/** Several processes that train one model together: torch.distributed's process groups. */
@NullMarked
package dreambooth4j.distributed;

import org.jspecify.annotations.NullMarked;
